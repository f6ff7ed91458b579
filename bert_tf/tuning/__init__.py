"""Many training runs: KerasTuner searches over one set of features."""
