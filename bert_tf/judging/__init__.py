"""A finished model, or two, judged on labelled texts."""
