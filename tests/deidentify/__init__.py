"""Tests of deidentification; a package, so that its modules share ``makers``."""
