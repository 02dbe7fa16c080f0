"""Runs a bundle of models on whatever runtime the machine has; knows nothing of Qt, video or training."""
