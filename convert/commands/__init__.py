"""Commands of ``echogfr-convert``, one module each with ``register(app)``."""
