"""Figures: each function draws one from records and returns it."""
