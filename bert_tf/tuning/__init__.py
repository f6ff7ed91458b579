"""Hyperparameter search: many training runs with KerasTuner over one set of features."""
