"""Polite and safe HTTP: robots.txt obeyed, public addresses only, sizes and times limited."""
