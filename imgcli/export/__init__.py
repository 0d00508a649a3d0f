"""A run becomes what other programs read: ONNX, TorchScript, a folder of timm, a model card."""
