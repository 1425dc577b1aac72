"""Pictures for experts: image, truth and prediction side by side, a JPG a slice and a contact sheet a hip."""

from ml.panels.draw import Column, contact_sheet, hip_slices, panels

__all__ = ["Column", "contact_sheet", "hip_slices", "panels"]
