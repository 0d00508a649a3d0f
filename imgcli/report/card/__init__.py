"""README.md of an exported run."""
