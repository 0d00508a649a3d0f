"""Decisions that a person takes by looking at photos, one by one, in the browser."""
