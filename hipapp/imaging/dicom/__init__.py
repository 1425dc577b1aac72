"""Pure functions on pydicom data sets: what comes in without identity, what goes out as DICOM. No Django inside."""
