"""A model behind HTTP: predictions for many clients at once, and a page to try it."""
