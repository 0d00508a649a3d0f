"""Predictions become judgement (numpy and scikit-learn only): metrics, intervals, merges."""
