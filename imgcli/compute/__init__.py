"""Where work runs: in this process, or in all that torchrun has started."""
