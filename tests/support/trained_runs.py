"""Runs that are trained in a moment."""

from pathlib import Path

from imgcli.config import TrainConfig
from imgcli.runs import Run
from imgcli.training.pipeline import train_run

FROZEN = TrainConfig.of(
    arch="resnet18", image_size=32, freeze=True, pretrained=False, precision="fp32"
)


def trained(config: TrainConfig) -> Run:
    """A run on `dataset` in the current folder."""
    return train_run(config, Path("dataset"), Path("runs"), "cpu").run
