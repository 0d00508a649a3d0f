"""Defaults follow from the other choices; choices that exclude each other are refused."""

import pytest

from imgcli.errors import ModelError, WrongUsage
from imgcli.learn.recipe import settle
from imgcli.records import TrainConfig


def test_a_frozen_backbone_gets_its_head_fitted_to_the_optimum() -> None:
    settled = settle(TrainConfig(arch="resnet18", freeze=True))
    assert (settled.optimizer, settled.augment, settled.weight_decay) == ("lbfgs", "none", None)


def test_everything_else_goes_through_the_loop_with_nothing_left_open() -> None:
    settled = settle(TrainConfig(arch="alexnet"))
    assert settled.optimizer == "adamw" and settled.augment == "photo"
    assert None not in (settled.epochs, settled.batch_size, settled.lr, settled.weight_decay)


@pytest.mark.parametrize("arch", ["resnet18", "cifar-fast"])
@pytest.mark.parametrize(
    ("freeze", "optimizer"),
    [(f, o) for f in (True, False) for o in (None, "sgd", "adam", "nmuon")]
    + [(True, "lbfgs"), (True, "ridge")],
)
def test_settling_twice_is_settling_once(arch: str, freeze: bool, optimizer: str | None) -> None:
    choices = TrainConfig(arch=arch, freeze=freeze, optimizer=optimizer, pretrained=False)
    once = settle(choices)
    assert settle(once) == once


def test_an_arch_of_the_zoo_brings_its_recipe_and_what_is_asked_for_goes_before() -> None:
    usual = settle(TrainConfig(arch="cifar-fast"))
    assert (usual.optimizer, usual.augment, usual.val_share) == ("nmuon", "small", 0.0)
    asked = settle(TrainConfig(arch="cifar-fast", optimizer="sgd", epochs=3, test_flip=False))
    assert (asked.epochs, asked.test_flip, asked.lr) == (3, False, 0.01)  # the rate is sgd's own


def test_a_recipe_is_for_training_all_of_an_arch() -> None:
    frozen = settle(TrainConfig(arch="cifar-fast", freeze=True, pretrained=False))
    assert (frozen.optimizer, frozen.augment, frozen.test_flip) == ("lbfgs", "none", False)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"freeze": True, "lr": 0.1}, "--lr means nothing to --optimizer lbfgs.*--optimizer sgd"),
        ({"freeze": True, "batch_size": 8}, "--batch-size means nothing"),
        ({"freeze": True, "augment": "photo"}, "--augment photo does not go with --freeze"),
        ({"optimizer": "lbfgs"}, "add --freeze"),
        ({"optimizer": "adam", "momentum": 0.9}, "--momentum means nothing to --optimizer adam"),
        ({"optimizer": "rmsprop"}, "not known; use sgd, adam, adamw, nmuon, lbfgs, ridge"),
        ({"epochs": 0}, "--epochs 0 must be above 0"),
        ({"val_share": 0.95}, "--val-share 0.95 must be at least 0 and below 0.9"),
        ({"label_smoothing": -0.1}, "--label-smoothing -0.1 must be"),
        ({"weight_decay": -1.0}, "--weight-decay -1 must not be negative"),
        ({"augment": "wild"}, "--augment wild is not known; use none, shift, small, photo, strong"),
    ],
)
def test_choices_that_cannot_be_meant_are_refused(choices: dict[str, object], message: str) -> None:
    with pytest.raises(WrongUsage, match=message):
        settle(TrainConfig(arch="resnet18", **choices))  # type: ignore[arg-type]


def test_there_is_nothing_to_freeze_in_a_network_without_weights() -> None:
    with pytest.raises(ModelError, match="'alexnet' has no published weights, so there is nothing"):
        settle(TrainConfig(arch="alexnet", freeze=True))
    settle(TrainConfig(arch="alexnet", freeze=True, pretrained=False))  # meant: random features
