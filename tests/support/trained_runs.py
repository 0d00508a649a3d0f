"""Runs that are trained in a moment."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from imgcli.config import TrainConfig
from imgcli.models.create import create_network
from imgcli.runs import Run, new_run
from imgcli.training.model_io import save_model
from imgcli.training.pipeline import train_run

FROZEN = TrainConfig.of(
    arch="test_resnet", image_size=32, freeze=True, pretrained=False, precision="fp32"
)


def trained(config: TrainConfig) -> Run:
    """A run on `dataset` in the current folder."""
    return train_run(config, Path("dataset"), Path("runs"), "cpu").run


def begun(runs: Path, classes: tuple[str, ...] = ("blue", "green", "red"), **choices: Any) -> Run:
    """A finished run of a network as it is before training, its weights random."""
    config = TrainConfig.of(**{"pretrained": False, "precision": "fp32", **choices})
    network = create_network(config.model, len(classes), seed=1)
    with torch.no_grad():
        for module in network.classifier.modules():  # lest what is left out would change nothing
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
        network.classifier.head.weight *= 5  # features that differ give other probabilities
    run = new_run(runs, config, Path("dataset"))
    save_model(run, network, config, classes, {"params": {"total": 1}})
    return run
