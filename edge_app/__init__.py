"""The bedside app: from a scanner's video output to a live, image-derived eGFR readout."""
