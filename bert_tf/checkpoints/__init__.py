"""Hugging Face checkpoint folders: found, read, written, rewritten."""
