"""What TensorFlow, JAX and PyTorch do each in their own way."""
