"""Which classes are one class to the model, and what merging them would do."""
