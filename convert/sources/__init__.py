"""Models of other families: a small TOML file and its weights become an ensemble."""
