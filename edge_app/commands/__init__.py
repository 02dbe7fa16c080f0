"""Groups of commands of ``echogfr``, one module each with ``app``."""
