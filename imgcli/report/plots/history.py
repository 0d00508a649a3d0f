"""The names of earlier versions; see plots/training."""

from imgcli.report.plots.training import NAME, check, rows, unit

__all__ = ["NAME", "check", "rows", "unit"]
