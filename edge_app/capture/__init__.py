"""Where frames come from: one protocol, one file a source, no threads inside a source."""
