"""Deidentify: copies of recordings in which nothing tells who the patient is, as far as that can be checked."""
