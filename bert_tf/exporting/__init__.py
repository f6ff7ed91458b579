"""Models for other runtimes: ONNX, OpenVINO, LiteRT, SavedModel and Keras files, proven to say what the model says."""
