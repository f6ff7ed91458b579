"""Scripts of transformers 4, read: which names and forms work as they are, and what to write instead of the others."""
