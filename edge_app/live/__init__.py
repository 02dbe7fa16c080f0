"""The live loop: pipeline, fusion, the scanner worker and the link to it. No Qt."""
