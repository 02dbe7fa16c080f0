"""Deidentify: copies of clips, stills and DICOM files in which nothing tells who the patient is, as far as can be checked."""
