"""Networks learn (torch): batches, the one training loop, frozen features, heads, folds."""
