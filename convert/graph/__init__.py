"""What is built into the graph: trunk, heads, trees as tensors, class activation maps."""
