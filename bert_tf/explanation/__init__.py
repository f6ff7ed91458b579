"""Which words decide a prediction, and how reliable that answer is."""
