"""Which words decide, and how far to trust that."""
