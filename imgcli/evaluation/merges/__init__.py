"""Which classes to merge: evidence, null model, separability and effects."""
