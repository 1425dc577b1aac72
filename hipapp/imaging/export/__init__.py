"""What leaves the house: DICOM SEG and SR, NIfTI, panels, data sets; all without identity."""
