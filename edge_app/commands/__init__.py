"""Commands of ``echogfr``: one module a command, or a group of them that has ``app``."""
