"""Defaults follow from the other choices; choices that exclude each other are refused."""

import json
import math

import pytest

from imgcli.config import TrainConfig
from imgcli.errors import ModelError, WrongUsage
from imgcli.training.resolve_defaults import resolve_defaults


def test_a_frozen_backbone_gets_its_head_fitted_to_the_optimum() -> None:
    settled = resolve_defaults(TrainConfig.of(arch="resnet18", freeze=True))
    assert (settled.optim.optimizer, settled.augment.recipe, settled.optim.weight_decay) == (
        "lbfgs",
        "none",
        None,
    )


def test_everything_else_goes_through_the_loop_with_nothing_left_open() -> None:
    settled = resolve_defaults(TrainConfig.of(arch="alexnet"))
    assert settled.optim.optimizer == "adamw" and settled.augment.recipe == "photo"
    assert None not in (
        settled.optim.epochs,
        settled.optim.batch_size,
        settled.optim.lr,
        settled.optim.weight_decay,
    )


@pytest.mark.parametrize("arch", ["resnet18", "cifar-fast"])
@pytest.mark.parametrize(
    ("freeze", "optimizer"),
    [(f, o) for f in (True, False) for o in (None, "sgd", "adam", "nmuon")] + [(True, "lbfgs")],
)
def test_settling_twice_is_settling_once(arch: str, freeze: bool, optimizer: str | None) -> None:
    choices = TrainConfig.of(arch=arch, freeze=freeze, optimizer=optimizer, pretrained=False)
    once = resolve_defaults(choices)
    assert resolve_defaults(once) == once


@pytest.mark.parametrize(
    "choices",
    [
        {"lr": "auto", "grow_batch": 128, "ema": 0.99},
        {"schedule": "step", "epochs": 10},
        {"schedule": "plateau", "val_share": 0.2},
        {"freeze": True, "unfreeze_after": 3},
        {"labels_per_class": 1, "pseudo_label": "more"},
        {"labels_per_class": 1, "freeze": True},
        {"labels_per_class": 1, "freeze": True, "optimizer": "sgd", "balance": "loss"},
    ],
)
def test_a_stored_config_resolves_to_itself(choices: dict[str, object]) -> None:
    once = resolve_defaults(TrainConfig.of(arch="resnet18", **choices))  # type: ignore[arg-type]
    assert resolve_defaults(TrainConfig.of(**json.loads(json.dumps(once.to_json())))) == once


def test_few_labels_are_not_spent_on_validation_unless_asked_for() -> None:
    few = TrainConfig.of(arch="mlp", labels_per_class=5)
    assert (resolve_defaults(few).data.val_share, resolve_defaults(few).data.pick) == (
        0.0,
        "random",
    )
    assert resolve_defaults(few.with_(val_share=0.2)).data.val_share == 0.2


def test_an_arch_of_the_zoo_brings_its_recipe_and_what_is_asked_for_goes_before() -> None:
    usual = resolve_defaults(TrainConfig.of(arch="cifar-fast"))
    assert (usual.optim.optimizer, usual.augment.recipe, usual.data.val_share) == (
        "nmuon",
        "small",
        0.0,
    )
    asked = resolve_defaults(
        TrainConfig.of(arch="cifar-fast", optimizer="sgd", epochs=3, test_flip=False)
    )
    assert (asked.optim.epochs, asked.model.test_flip, asked.optim.lr) == (
        3,
        False,
        0.01,
    )  # the rate is sgd's own


def test_sgd_uses_nesterov_momentum_unless_other_choices_exclude_it() -> None:
    def settled(**choices: object) -> bool | None:
        return resolve_defaults(TrainConfig.of(arch="mlp", **choices)).optim.nesterov  # type: ignore[arg-type]

    assert settled(optimizer="sgd") is True
    assert settled(optimizer="sgd", nesterov=False) is False
    assert settled(optimizer="sgd", dampening=0.2) is False
    assert settled(optimizer="sgd", momentum=0.0) is False
    assert settled(optimizer="momentum") is False  # timm's name for sgd without it
    assert settled(optimizer="adam") is None


def test_an_unfrozen_backbone_is_fine_tuned_by_steps_at_a_low_rate() -> None:
    settled = resolve_defaults(TrainConfig.of(arch="resnet18", freeze=True, unfreeze_after=3))
    assert (settled.optim.optimizer, settled.augment.recipe, settled.optim.epochs) == (
        "adamw",
        "photo",
        10,
    )
    assert settled.optim.lr == resolve_defaults(TrainConfig.of(arch="resnet18")).optim.lr


def test_norms_keep_statistics_that_came_with_the_weights() -> None:
    assert resolve_defaults(TrainConfig.of(arch="resnet18")).model.norms == "kept"
    assert resolve_defaults(TrainConfig.of(arch="resnet18", norms="batch")).model.norms == "batch"
    assert (
        resolve_defaults(TrainConfig.of(arch="resnet18", pretrained=False)).model.norms == "batch"
    )
    assert resolve_defaults(TrainConfig.of(arch="mlp", weights="runs/x")).model.norms == "kept"


def test_a_recipe_is_for_training_all_of_an_arch() -> None:
    frozen = resolve_defaults(TrainConfig.of(arch="cifar-fast", freeze=True, pretrained=False))
    assert (frozen.optim.optimizer, frozen.augment.recipe, frozen.model.test_flip) == (
        "lbfgs",
        "none",
        False,
    )


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"freeze": True, "lr": 0.1}, "--lr means nothing to --optimizer lbfgs.*--optimizer sgd"),
        ({"freeze": True, "batch_size": 8}, "--batch-size means nothing"),
        ({"freeze": True, "augment": "photo"}, "--augment photo does not go with --freeze"),
        ({"optimizer": "lbfgs"}, "add --freeze"),
        ({"optimizer": "adam", "momentum": 0.9}, "--momentum means nothing to --optimizer adam"),
        ({"optimizer": "amad"}, "not known. Did you mean .*adam.* lbfgs .*, sgd,"),
        ({"optimizer": "bnbadam"}, "--optimizer bnbadam is not known"),  # needs another package
        ({"epochs": 0}, "--epochs 0 must be above 0"),
        ({"val_share": 0.95}, "--val-share 0.95 must be at least 0 and below 0.9"),
        ({"label_smoothing": -0.1}, "--label-smoothing -0.1 must be"),
        ({"weight_decay": -1.0}, "--weight-decay -1 must be at least 0"),
        ({"weight_decay": math.nan}, "--weight-decay nan must be a finite number at least 0"),
        ({"weight_decay": math.inf}, "--weight-decay inf must be a finite number at least 0"),
        ({"lr": -1.0}, "--lr -1 must be above 0"),
        ({"lr": math.inf}, "--lr inf must be a finite number above 0"),
        ({"l1": math.inf}, "--l1 inf must be a finite number"),
        ({"warmup": math.nan}, "--warmup nan must be a finite number"),
        ({"momentum": math.nan}, "--momentum nan must be a finite number at least 0 and below 1"),
        ({"mixup": 1e-30}, "--mixup 1e-30 must be 0, or at least 0.01 and at most 100"),
        ({"cutmix": math.inf}, "--cutmix inf must be a finite number"),
        ({"seed": -1}, "--seed -1 must be at least 0"),
        ({"seed": 2**32}, "--seed .* must be at least 0 and at most"),
        ({"lr": "fast"}, "--lr fast is neither a number nor auto"),
        ({"optimizer": "adam", "nesterov": True}, "--nesterov means nothing to .*it is sgd's"),
        ({"optimizer": "sgd", "dampening": 0.5, "nesterov": True}, "does not go with --nesterov"),
        ({"optimizer": "sgd", "momentum": 0.0, "nesterov": True}, "--momentum 0 leaves none"),
        ({"batch_size": 64, "grow_batch": 32}, "--grow-batch 32 is less than the 64 photos"),
        ({"grow_batch": 32}, "--grow-batch 32 is less than the 64 photos"),
        ({"epochs": 1, "grow_batch": 128}, "--grow-batch 128 needs more than one epoch"),
        ({"freeze": True, "init": "xavier-normal"}, "--init means nothing to"),
        ({"epochs": 3, "warmup": 3.0}, "--warmup 3 leaves none of 3 epochs"),
        ({"decay_every": 2.0}, "--decay-every means nothing to --schedule cosine"),
        ({"schedule": "step", "decay_factor": 1.0}, "--decay-factor 1 must be above 0 and below 1"),
        ({"schedule": "stairs"}, "--schedule stairs is not known; use cosine, one-cycle, step,"),
        ({"balance": "somehow"}, "--balance somehow is not known; use loss, sample"),
        ({"ema": 1.0}, "--ema 1 must be at least 0 and below 1"),
        ({"clip_norm": 0.0}, "--clip-norm 0 must be above 0"),
        ({"rand_augment": 31}, "--rand-augment 31 must be at least 0 and at most 30"),
        ({"unfreeze_after": 2}, "--unfreeze-after 2 goes with --freeze"),
        ({"freeze": True, "unfreeze_after": 5, "epochs": 5}, "leaves none of 5 epochs"),
        ({"freeze": True, "unfreeze_after": 10}, "leaves none of 10 epochs"),  # the default
        ({"freeze": True, "dropout": 0.5}, "--dropout means nothing to --freeze"),
        ({"freeze": True, "rotate": 10.0}, "--rotate means nothing to --freeze, whose features"),
        ({"freeze": True, "layer_decay": 0.7}, "--layer-decay means nothing to --freeze"),
        ({"freeze": True, "ema": 0.99}, "--ema means nothing to --optimizer lbfgs"),
        ({"freeze": True, "optimizer": "lbfgs", "unfreeze_after": 1}, "leave out --unfreeze-after"),
        (
            {"freeze": True, "optimizer": "ridge"},
            "--optimizer ridge is not offered any more",
        ),
        ({"augment": "wild"}, "--augment wild is not known; use none, shift, small, photo, strong"),
    ],
)
def test_choices_that_cannot_be_meant_are_refused(choices: dict[str, object], message: str) -> None:
    with pytest.raises(WrongUsage, match=message):
        resolve_defaults(TrainConfig.of(arch="resnet18", **choices))  # type: ignore[arg-type]


def test_there_is_nothing_to_freeze_in_a_network_without_weights() -> None:
    with pytest.raises(ModelError, match="'alexnet' has no published weights, so there is nothing"):
        resolve_defaults(TrainConfig.of(arch="alexnet", freeze=True))
    resolve_defaults(
        TrainConfig.of(arch="alexnet", freeze=True, pretrained=False)
    )  # meant: random features


@pytest.mark.parametrize("decay", [0.0, 1e-300, 1e-7, 1e7, 1e300])
def test_a_head_without_an_optimum_to_be_found_is_refused(decay: float) -> None:
    config = TrainConfig.of(arch="resnet18", freeze=True, weight_decay=decay)
    what = f"--weight-decay {decay:g} must be .* for --optimizer lbfgs.*leave it out"
    with pytest.raises(WrongUsage, match=what.replace("+", r"\+")):
        resolve_defaults(config)
    assert (
        resolve_defaults(config.with_(optimizer="sgd", weight_decay=0.0)).optim.weight_decay == 0.0
    )
