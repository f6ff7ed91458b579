"""Forward passes: engines, prediction, verified conversion."""
