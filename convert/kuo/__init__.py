"""Reads the published layout of Kuo 2019 (npj Digit Med 2:29) as it is, and builds its bundle."""
