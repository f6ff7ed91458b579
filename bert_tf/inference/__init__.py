"""Forward passes: engines, prediction, conversion with a proof."""
