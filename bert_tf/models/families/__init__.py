"""How each model family computes."""
