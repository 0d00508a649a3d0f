"""The names of earlier versions; see plots/evaluation and terminal/evaluation."""

from imgcli.report.plots.evaluation import reliability
from imgcli.report.terminal.evaluation import (
    calibration_line,
    promise_lines,
    repeats_line,
    scores_line,
)

__all__ = ["calibration_line", "promise_lines", "reliability", "repeats_line", "scores_line"]
