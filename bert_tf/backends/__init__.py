"""What Keras does not offer alike on TensorFlow, JAX and PyTorch, one file each."""
