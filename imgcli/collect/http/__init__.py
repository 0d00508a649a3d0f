"""The polite and safe network: only where robots.txt lets us, only outside, within bounds."""
