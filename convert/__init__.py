"""Turns trained models into bundles and proves, in clinical units, that nothing was lost."""
