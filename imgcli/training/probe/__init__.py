"""Linear heads on frozen features, those of all folds fitted as one problem."""
