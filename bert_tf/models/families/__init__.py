"""The classes of each model family, one file each; their rows are in checkpoints/families."""
