"""What transformers 4 had beside its TensorFlow models."""
