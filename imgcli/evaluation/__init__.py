"""Predictions become judgement (numpy, scipy and scikit-learn only): metrics, intervals, merges."""
