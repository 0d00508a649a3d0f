"""Training (torch): inputs, the training loop, frozen features, linear probes, folds."""
