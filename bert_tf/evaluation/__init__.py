"""Plain numbers in, plain dicts out: scores, intervals, calibration, the TF-IDF baseline."""
