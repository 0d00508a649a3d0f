"""Results as terminal tables and sentences."""
