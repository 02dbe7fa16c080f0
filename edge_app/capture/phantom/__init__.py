"""A scanner made of physics, dressed in scanner screens, with known truth for every frame."""
