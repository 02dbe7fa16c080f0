"""Trains the synthetic stand-in model that ships with the app."""
