"""The names of earlier versions; see plots/training."""

from imgcli.report.plots.training import (
    batch_losses,
    loss_curves,
    losses,
    losses_csv,
    notes,
)

__all__ = ["batch_losses", "loss_curves", "losses", "losses_csv", "notes"]
