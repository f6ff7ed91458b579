"""Side by side: the ladder of depths, the race of models, the learning curve."""
