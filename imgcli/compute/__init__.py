"""Where work runs: in this process, in all that torchrun has started, or on a Ray cluster."""
