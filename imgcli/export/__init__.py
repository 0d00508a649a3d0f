"""A run becomes what other programs read."""
