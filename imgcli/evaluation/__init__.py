"""Predictions become figures (numpy, scipy and scikit-learn only): metrics, intervals, merges."""
