"""Trains the synthetic localizer, which proposes the poles of a kidney, and writes its bundle."""
