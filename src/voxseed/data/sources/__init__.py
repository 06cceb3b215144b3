"""Where cases come from: image files, DICOM series, and folders in the formats of others, each in a module."""
