"""Data sets of annotated hips: `read(folder)`; `python -m ml prepare` makes them."""

from ml.datasets.format import Case, DataSet, DataSetError, read

__all__ = ["Case", "DataSet", "DataSetError", "read"]
