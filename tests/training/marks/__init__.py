"""Trains the network that tells length markers from everything else on a screen: ``python -m tests.training.marks``."""
