"""One file a model family: trained weights to one ONNX graph."""
