"""The choices a user left open, and the ones that cannot be meant together."""

from collections.abc import Iterable
from typing import Any

from imgcli.errors import ModelError, WrongUsage
from imgcli.models.create import has_published_weights
from imgcli.models.zoo import ZOO
from imgcli.records import TrainConfig
from imgcli.text import count
from imgcli.training.limits import HEAD_DECAY, check_limit, check_limits, option
from imgcli.training.lr_schedules import DECAYS, WARM
from imgcli.training.optim import SGD, check_optimizer, has_momentum, usual_decay, usual_rate
from imgcli.training.probe.logistic import MAX_ITERATIONS

_HEAD_RATE = 0.1  # of sgd on features, which are far from the first layers' noise
_GENTLY = 0.3  # of the usual rate, for weights that know something already
# What a fit to the optimum has no use for: it takes all rows at once and its own step lengths.
_BY_STEPS = (
    *("batch_size", "grow_batch", "lr", "momentum", "dampening", "nesterov", "patience"),
    *("schedule", "warmup", "decay_every", "decay_factor", "l1", "clip_norm", "ema", "balance"),
)
# What a frozen backbone's features have no use for: they are not photos any more.
_OF_PHOTOS = (
    *("zoom", "shift", "rotate", "shear", "elastic", "flip", "colour", "erase"),
    *("rand_augment", "mixup", "cutmix", "layer_decay", "norms"),
)


def settle(config: TrainConfig) -> TrainConfig:
    """Fill in the defaults that depend on other choices.

    A frozen backbone's head is fitted to its optimum by L-BFGS, its regularisation chosen by
    cross-validation; everything else goes through the training loop.

    Raises:
        WrongUsage: choices that exclude each other, or values out of range.
        ModelError: a frozen backbone without weights.
    """
    config = _with_zoo(config)
    check_limits(config)
    _check_freezing(config)
    config = _settle_labels(config)
    config = config.with_(optimizer=config.optimizer or ("lbfgs" if config.frozen else "adamw"))
    if config.to_optimum:
        return _settle_optimum(config)
    check_optimizer(config.optimizer or "")
    return _settle_loop(config)


def _settle_optimum(config: TrainConfig) -> TrainConfig:
    optimizer = config.optimizer
    if not config.frozen:
        remedy = "leave out --unfreeze-after" if config.freeze else "add --freeze"
        raise WrongUsage(f"--optimizer {optimizer} fits the head of a frozen backbone; {remedy}.")
    default = ", the default with --freeze" if optimizer == "lbfgs" else ""
    _refuse(config, _BY_STEPS, f"--optimizer {optimizer}{default}; add --optimizer sgd to use it")
    if _begins_with_weights(config):
        _refuse(config, ["init"], f"--optimizer {optimizer}, which ends where it ends")
    if config.weight_decay is not None:
        why = (
            f" for --optimizer {optimizer}{default}; leave it out to have it chosen by validation, "
            "or add --optimizer sgd"
        )
        check_limit("weight_decay", config.weight_decay, HEAD_DECAY, why)
    if optimizer == "ridge":  # solved in one go
        _refuse(config, ["epochs", "bag"], "--optimizer ridge")
        if config.label_smoothing:
            raise WrongUsage("--label-smoothing means nothing to --optimizer ridge.")
        return config.with_(augment="none")
    return config.with_(augment="none", epochs=config.epochs or MAX_ITERATIONS)


def _settle_loop(config: TrainConfig) -> TrainConfig:
    optimizer, begun = config.optimizer or "", _begins_with_weights(config)
    _check_optimizer_choices(config)
    epochs = config.epochs or (10 if begun else 30)
    schedule = config.schedule or "cosine"
    rate = _HEAD_RATE if config.frozen and optimizer in SGD else usual_rate(optimizer)
    if begun and not config.frozen:
        rate *= _GENTLY
    config = config.with_(
        epochs=epochs,
        batch_size=config.batch_size or 64,
        lr=config.lr or rate,
        momentum=_or(config.momentum, 0.9) if has_momentum(optimizer) else None,
        nesterov=_nesterov(config) if optimizer in SGD else None,
        norms=None if config.frozen else config.norms or ("kept" if begun else "batch"),
        schedule=schedule,
        warmup=_or(config.warmup, WARM.get(schedule, 0.0) * epochs),
        weight_decay=_or(config.weight_decay, usual_decay(optimizer)),
        augment=config.augment or ("none" if config.frozen else "photo"),
        # Few labels are worth more to learn from than to validate by.
        val_share=_or(config.val_share, 0.1 if config.labels_per_class is None else 0.0),
        patience=config.patience or 10,
    )
    _check_batches(config)
    _check_unfreezing(config)
    return _settle_decay(config)


def _settle_decay(config: TrainConfig) -> TrainConfig:
    """When and by how much the learning rate falls, where the schedule says that it does."""
    assert config.schedule and config.epochs is not None and config.warmup is not None
    if config.warmup >= config.epochs:
        raise WrongUsage(
            f"--warmup {config.warmup:g} leaves none of {count(config.epochs, 'epoch')}; use fewer."
        )
    if config.schedule not in DECAYS:
        _refuse(config, ["decay_every", "decay_factor"], f"--schedule {config.schedule}")
        return config
    every, factor = DECAYS[config.schedule]
    return config.with_(
        decay_every=config.decay_every or every or config.epochs / 3,
        decay_factor=config.decay_factor or factor,
    )


def _settle_labels(config: TrainConfig) -> TrainConfig:
    """How few labels are picked, and when a guessed one is good enough."""
    if config.labels_per_class is None:
        _refuse(config, ["pick"], "a training from all labels; add --labels-per-class N")
    if config.pseudo_label is None:
        _refuse(config, ["confidence"], "a training without --pseudo-label DIR")
    return config.with_(
        pick=None if config.labels_per_class is None else config.pick or "random",
        confidence=_or(config.confidence, 0.95) if config.pseudo_label else None,
    )


def _with_zoo(config: TrainConfig) -> TrainConfig:
    """What the zoo says of training all of an arch, where nothing was asked for.

    Rates go with their optimizer.
    """
    by_name = config.notation is None and not config.freeze
    suits = dict(ZOO[config.arch].recipe) if config.arch in ZOO and by_name else {}
    if config.optimizer not in (None, suits.get("optimizer")):
        suits = {k: v for k, v in suits.items() if k not in ("lr", "weight_decay", "momentum")}
    suits = {"label_smoothing": 0.0, "test_flip": False, **suits}
    return config.with_(**{k: v for k, v in suits.items() if getattr(config, k) is None})


def wants_published(config: TrainConfig) -> bool:
    """Whether a training begins with the arch's published weights."""
    by_name = config.weights is None and config.notation is None
    return config.pretrained and by_name and has_published_weights(config.arch)


def _begins_with_weights(config: TrainConfig) -> bool:
    return config.weights is not None or wants_published(config)


def _check_freezing(config: TrainConfig) -> None:
    if config.unfreeze_after is not None and not config.freeze:
        raise WrongUsage(
            f"--unfreeze-after {config.unfreeze_after} goes with --freeze, which it ends."
        )
    if config.freeze and config.pretrained and not _begins_with_weights(config):
        raise ModelError(
            f"'{config.arch}' has no published weights, so there is nothing to freeze. Leave out "
            "--freeze to train all of it, give --weights FILE, or choose an arch of timm."
        )
    if not config.frozen:
        return
    if config.augment not in (None, "none"):
        raise WrongUsage(
            f"--augment {config.augment} does not go with --freeze, which sees each photo once."
        )
    _refuse(config, _OF_PHOTOS, "--freeze, whose features are not photos any more")
    _refuse(config, ["dropout"], "--freeze, whose features are taken with nothing left out")


def _check_unfreezing(config: TrainConfig) -> None:
    assert config.epochs
    if config.unfreeze_after is not None and config.unfreeze_after >= config.epochs:
        raise WrongUsage(
            f"--unfreeze-after {config.unfreeze_after} leaves none of "
            f"{count(config.epochs, 'epoch')} for the backbone; use fewer, or leave it out."
        )


def _check_optimizer_choices(config: TrainConfig) -> None:
    optimizer = config.optimizer or ""
    if not has_momentum(optimizer):
        _refuse(config, ["momentum"], f"--optimizer {optimizer}")
    if optimizer not in SGD:
        _refuse(config, ["dampening", "nesterov"], f"--optimizer {optimizer}; it is sgd's")
    if config.dampening and config.nesterov:
        raise WrongUsage(f"--dampening {config.dampening:g} does not go with --nesterov.")
    if config.nesterov and config.momentum == 0:
        raise WrongUsage("--nesterov looks ahead along the momentum; --momentum 0 leaves none.")


def _nesterov(config: TrainConfig) -> bool:
    """Whether sgd looks ahead, where it may: it does unless told otherwise."""
    possible = not config.dampening and config.momentum != 0
    return config.optimizer == "sgd" and possible if config.nesterov is None else config.nesterov


def _check_batches(config: TrainConfig) -> None:
    assert config.batch_size
    if config.grow_batch is None:
        return
    if config.grow_batch < config.batch_size:
        raise WrongUsage(
            f"--grow-batch {config.grow_batch} is less than the {config.batch_size} photos it "
            "begins with."
        )
    if config.epochs == 1:
        raise WrongUsage(f"--grow-batch {config.grow_batch} needs more than one epoch to grow in.")


def _or(value: Any, default: float) -> Any:
    return default if value is None else value


def _refuse(config: TrainConfig, names: Iterable[str], why: str) -> None:
    for name in names:
        if getattr(config, name) is not None:
            raise WrongUsage(f"{option(name)} means nothing to {why}.")
