"""Installs the GPU add-on: wheels of a local folder, verified and unpacked into a private folder, without a network."""
