"""The choices a user left open, and the ones that cannot be meant together."""

from collections.abc import Iterable

from imgcli.errors import ModelError, WrongUsage
from imgcli.learn.augment import RECIPES
from imgcli.learn.schedules import SCHEDULES
from imgcli.learn.softmax import MAX_ITERATIONS
from imgcli.models.create import has_published_weights
from imgcli.models.zoo import ZOO
from imgcli.records import TrainConfig

TO_OPTIMUM = ("lbfgs", "ridge")  # fit a head on frozen features as far as it goes
OPTIMIZERS = ("sgd", "adam", "adamw", "nmuon", *TO_OPTIMUM)
_MOMENTUM = ("sgd", "nmuon")
# What a fit to the optimum has no use for: it takes all rows at once and its own step lengths.
_LOOP_ONLY = ("lr", "momentum", "batch_size", "patience", "schedule")


def settle(config: TrainConfig) -> TrainConfig:
    """Fill in the defaults that depend on other choices.

    A frozen backbone's head is fitted to its optimum by L-BFGS, its regularisation chosen by
    cross-validation; everything else goes through the training loop.

    Raises:
        WrongUsage: choices that exclude each other, or values out of range.
        ModelError: a frozen backbone without weights.
    """
    config = _with_zoo(config)
    _check_ranges(config)
    pretrained = config.weights is not None or (
        config.pretrained and has_published_weights(config.arch)
    )
    if config.freeze and not pretrained and config.pretrained:
        raise ModelError(
            f"'{config.arch}' has no published weights, so there is nothing to freeze. Leave out "
            "--freeze to train all of it, give --weights FILE, or choose an arch of timm."
        )
    optimizer = config.optimizer or ("lbfgs" if config.freeze else "adamw")
    if optimizer not in OPTIMIZERS:
        raise WrongUsage(f"--optimizer {optimizer} is not known; use {', '.join(OPTIMIZERS)}.")
    if optimizer in TO_OPTIMUM and not config.freeze:
        raise WrongUsage(
            f"--optimizer {optimizer} fits the head of a frozen backbone; add --freeze."
        )
    if config.freeze and config.augment not in (None, "none"):
        raise WrongUsage(
            f"--augment {config.augment} does not go with --freeze, which sees each photo once."
        )
    if config.freeze:
        _refuse(config, ["mixup", "cutmix"], "--freeze, whose features are not photos any more")
    if optimizer in TO_OPTIMUM:
        default = ", the default with --freeze" if optimizer == "lbfgs" else ""
        _refuse(
            config, _LOOP_ONLY, f"--optimizer {optimizer}{default}; add --optimizer sgd to use it"
        )
        if optimizer == "ridge":  # solved in one go
            _refuse(config, ["epochs"], "--optimizer ridge")
            if config.label_smoothing:
                raise WrongUsage("--label-smoothing means nothing to --optimizer ridge.")
            return config.with_(optimizer=optimizer, augment="none")
        return config.with_(
            optimizer=optimizer, augment="none", epochs=config.epochs or MAX_ITERATIONS
        )
    if optimizer not in _MOMENTUM:
        _refuse(config, ["momentum"], f"--optimizer {optimizer}")
    rates = {"sgd": 0.1 if config.freeze else 0.01, "adam": 3e-4, "adamw": 3e-4, "nmuon": 0.02}
    decays = {"sgd": 5e-4, "adam": 0.0, "adamw": 0.05, "nmuon": 0.0}
    return config.with_(
        optimizer=optimizer,
        epochs=config.epochs or (10 if pretrained else 30),
        batch_size=config.batch_size or 64,
        lr=config.lr or rates[optimizer] * (1.0 if config.freeze or not pretrained else 0.3),
        momentum=_or(config.momentum, 0.9) if optimizer in _MOMENTUM else None,
        schedule=config.schedule or "cosine",
        weight_decay=_or(config.weight_decay, decays[optimizer]),
        augment=config.augment or ("none" if config.freeze else "photo"),
        val_share=_or(config.val_share, 0.1),
        patience=config.patience or 10,
    )


def _with_zoo(config: TrainConfig) -> TrainConfig:
    """What the zoo says of training all of an arch, where nothing was asked for.

    Rates go with their optimizer.
    """
    suits = dict(ZOO[config.arch].recipe) if config.arch in ZOO and not config.freeze else {}
    if config.optimizer not in (None, suits.get("optimizer")):
        suits = {k: v for k, v in suits.items() if k not in ("lr", "weight_decay", "momentum")}
    suits = {"label_smoothing": 0.0, "test_flip": False, **suits}
    return config.with_(**{k: v for k, v in suits.items() if getattr(config, k) is None})


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _refuse(config: TrainConfig, names: Iterable[str], why: str) -> None:
    for name in names:
        if getattr(config, name) is not None:
            raise WrongUsage(f"--{name.replace('_', '-')} means nothing to {why}.")


def _check_ranges(config: TrainConfig) -> None:
    """Refuse numbers outside what they can mean."""
    above_zero = ("epochs", "batch_size", "lr", "image_size", "patience")
    for name in above_zero:
        value = getattr(config, name)
        if value is not None and value <= 0:
            raise WrongUsage(f"--{name.replace('_', '-')} {value:g} must be above 0.")
    for name, top in (("momentum", 1.0), ("label_smoothing", 1.0), ("val_share", 0.9)):
        value = getattr(config, name)
        if value is not None and not 0 <= value < top:
            option = "--val-share" if name == "val_share" else f"--{name.replace('_', '-')}"
            raise WrongUsage(f"{option} {value:g} must be at least 0 and below {top:g}.")
    if config.weight_decay is not None and config.weight_decay < 0:
        raise WrongUsage(f"--weight-decay {config.weight_decay:g} must not be negative.")
    for name in ("mixup", "cutmix"):
        value = getattr(config, name)
        if value is not None and value < 0:
            raise WrongUsage(f"--{name} {value:g} must not be negative.")
    if config.schedule is not None and config.schedule not in SCHEDULES:
        raise WrongUsage(f"--schedule {config.schedule} is not known; use {', '.join(SCHEDULES)}.")
    if config.augment is not None and config.augment not in RECIPES:
        raise WrongUsage(f"--augment {config.augment} is not known; use {', '.join(RECIPES)}.")
