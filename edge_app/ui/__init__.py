"""The window. PyQt6 enters by ui/_qt.py alone."""
