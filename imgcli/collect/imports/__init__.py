"""Labelled photos come in from folders, archives and tables."""
