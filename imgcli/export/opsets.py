"""The versions of ONNX's operators that can be asked for; here, so that no library is imported."""

MIN_OPSET = 18  # the oldest that torch writes
MAX_OPSET = 23  # the newest that was run by onnxruntime
