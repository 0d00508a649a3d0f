"""The choices a user left open, and those that exclude each other: one table of rules.

    Default    an open choice gets this value, where the rule applies
    Unused     choices that mean nothing here are refused
    Refused    values that cannot be meant together are refused

`resolve_defaults` applies the rules in their order, once, before anything is read.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from imgcli.config import HEAD_DECAY, TrainConfig, check_limits, option
from imgcli.errors import ModelError, WrongUsage
from imgcli.models.create import starts_from_published
from imgcli.models.zoo import ZOO
from imgcli.text import count
from imgcli.training.lr_schedules import DECAYS, WARM
from imgcli.training.optim import SGD, check_optimizer, default_decay, default_rate, has_momentum
from imgcli.training.probe.logistic import MAX_ITERATIONS

_HEAD_RATE = 0.1  # of sgd on features, which are far from the first layers' noise
_FINE_TUNING = 0.3  # of the default rate, for weights that are pretrained
# What a linear probe has no use for: it takes all rows at once and its own step lengths.
_BY_STEPS = (
    *("batch_size", "grow_batch", "lr", "momentum", "dampening", "nesterov", "patience"),
    *("schedule", "warmup", "decay_every", "decay_factor", "l1", "clip_norm", "ema"),
)
# What features of a frozen backbone have no use for: they are not photos any more.
_OF_PHOTOS = (
    *("zoom", "shift", "rotate", "shear", "elastic", "flip", "colour", "erase"),
    *("rand_augment", "mixup", "cutmix", "layer_decay", "norms"),
)

Config = TrainConfig  # in the table, for short
Applies = Callable[[Config], bool]


class Default(NamedTuple):
    """What an open choice becomes, where the rule applies: a value, or a function of the config."""

    name: str
    value: Any
    where: Applies = lambda c: True

    def apply(self, config: Config) -> Config:
        if config.get(self.name) is not None or not self.where(config):
            return config
        value = self.value(config) if callable(self.value) else self.value
        return config.with_(**{self.name: value})


class Unused(NamedTuple):
    """Choices that mean nothing, where the rule applies; `to` is what they mean nothing to."""

    names: Sequence[str]
    to: str  # as a sentence of `Refused`
    where: Applies

    def apply(self, config: Config) -> Config:
        for name in self.names:
            if config.get(name) is not None and self.where(config):
                raise WrongUsage(_filled(f"{option(name)} means nothing to {self.to}.", config))
        return config


class Refused(NamedTuple):
    """What cannot be meant, and the sentence that says so; choices stand in it by their names."""

    where: Applies
    sentence: str
    error: type[Exception] = WrongUsage

    def apply(self, config: Config) -> Config:
        if self.where(config):
            raise self.error(_filled(self.sentence, config))
        return config


class Checked(NamedTuple):
    """What another room refuses by itself."""

    check: Callable[[Config], None]
    where: Applies

    def apply(self, config: Config) -> Config:
        if self.where(config):
            self.check(config)
        return config


def resolve_defaults(config: TrainConfig) -> TrainConfig:
    """Fill in the defaults that depend on other choices.

    A frozen backbone gets a linear probe: its head is fitted to the optimum by L-BFGS, the L2
    penalty chosen by cross-validation. Everything else is trained by steps.

    Raises:
        WrongUsage: choices that exclude each other, or values out of range.
        ModelError: a frozen backbone without weights.
    """
    config = _with_zoo(config)
    check_limits(config)
    for rule in RULES:
        config = rule.apply(config)
    return config


def _with_zoo(config: Config) -> Config:
    """What the zoo says of training all of an arch, where nothing was asked for.

    Rates go with their optimizer.
    """
    arch = config.model.arch
    by_name = config.model.notation is None and not config.model.freeze
    recipe = dict(ZOO[arch].recipe) if arch in ZOO and by_name else {}
    if config.optim.optimizer not in (None, recipe.get("optimizer")):
        recipe = {k: v for k, v in recipe.items() if k not in ("lr", "weight_decay", "momentum")}
    plain = {
        "label_smoothing": 0.0,
        "test_flip": False,
        "test_shift": 0,
        "mirror": False,
        "feature_power": 1.0,
    }
    recipe = {**plain, **recipe}
    return config.with_(**{k: v for k, v in recipe.items() if config.get(k) is None})


def _filled(sentence: str, c: Config) -> str:
    """A sentence with the choices that it names; `the_optimizer` is the option, as refusals say."""
    default = ", the default with --freeze" if c.optim.optimizer == "lbfgs" else ""
    also = {
        "the_optimizer": f"--optimizer {c.optim.optimizer}{default}",
        "all_epochs": count(c.optim.epochs or 0, "epoch"),
    }
    return sentence.format_map(c.to_json() | also)


# --- the rules ----------------------------------------------------------------------------------


def _is_pretrained(c: Config) -> bool:
    return c.model.weights is not None or starts_from_published(c.model)


def _is_probe(c: Config) -> bool:
    return c.optim.is_probe


def _by_steps(c: Config) -> bool:
    return not c.optim.is_probe


def _is_frozen(c: Config) -> bool:
    return c.model.frozen


def _has_power(c: Config) -> bool:
    return c.model.feature_power not in (None, 1)


def _has_decays(c: Config) -> bool:
    return c.optim.schedule in DECAYS


def _name(c: Config) -> str:
    return c.optim.optimizer or ""


def _learning_rate(c: Config) -> float:
    if c.model.frozen:
        return _HEAD_RATE if _name(c) in SGD else default_rate(_name(c))
    return default_rate(_name(c)) * (_FINE_TUNING if _is_pretrained(c) else 1)


def _check_head_decay(c: Config) -> None:
    if c.optim.weight_decay is not None:
        why = "leave it out to have it chosen by validation, or add --optimizer sgd"
        why = _filled(f" for {{the_optimizer}}; {why}", c)
        HEAD_DECAY.check("--weight-decay", c.optim.weight_decay, why)


def _decay(c: Config) -> tuple[float, float]:
    """Epochs between decays, and the factor, by schedule; 0 epochs are a third of all."""
    every, factor = DECAYS[c.optim.schedule or ""]
    return every or (c.optim.epochs or 0) / 3, factor


RULES: tuple[Default | Unused | Refused | Checked, ...] = (
    # Freezing.
    Refused(
        lambda c: c.model.unfreeze_after is not None and not c.model.freeze,
        "--unfreeze-after {unfreeze_after} goes with --freeze, which it ends.",
    ),
    Refused(
        lambda c: c.model.freeze and c.model.pretrained and not _is_pretrained(c),
        "'{arch}' has no published weights, so there is nothing to freeze. Leave out --freeze to "
        "train all of it, give --weights FILE, or choose an arch of timm.",
        ModelError,
    ),
    Refused(
        lambda c: c.model.frozen and c.augment.recipe not in (None, "none"),
        "--augment {augment} does not go with --freeze, which sees each photo once.",
    ),
    Unused(_OF_PHOTOS, "--freeze, whose features are not photos any more", _is_frozen),
    Unused(["dropout"], "--freeze, whose features are extracted without dropout", _is_frozen),
    Refused(
        lambda c: len(c.model.archs) > 1 and not c.model.frozen,
        "--arch {arch} joins the features of several networks, whose weights stay as they are: add "
        "--freeze, without --unfreeze-after.",
    ),
    Refused(
        lambda c: bool(c.model.mirror) and not c.model.frozen,
        "--mirror joins features of a frozen backbone: add --freeze, without --unfreeze-after. A "
        "training by steps has --test-flip.",
    ),
    Refused(
        lambda c: bool(c.model.mirror and c.model.test_flip),
        "--test-flip takes the mean of what --mirror keeps apart; leave out one of them.",
    ),
    Refused(
        lambda c: bool(c.model.mirror and c.model.test_shift),
        "--test-shift {test_shift} takes the mean of what --mirror keeps apart; leave out one of "
        "them.",
    ),
    Refused(
        lambda c: _has_power(c) and bool(c.model.test_shift),
        "--feature-power {feature_power:g} does not go with --test-shift {test_shift}.",
    ),
    Refused(
        lambda c: _has_power(c) and not c.model.frozen,
        "--feature-power {feature_power:g} is of a frozen backbone's features: add --freeze, "
        "without --unfreeze-after.",
    ),
    Refused(
        lambda c: _has_power(c) and bool(c.model.test_flip),
        "--feature-power {feature_power:g} does not go with --test-flip; --mirror does.",
    ),
    # Few labels.
    Unused(
        ["pick"],
        "a training on all labels; add --labels-per-class N",
        lambda c: c.data.labels_per_class is None,
    ),
    Unused(
        ["confidence"],
        "a training without --pseudo-label DIR",
        lambda c: c.data.pseudo_label is None,
    ),
    Default("pick", "random", lambda c: c.data.labels_per_class is not None),
    Default("confidence", 0.95, lambda c: c.data.pseudo_label is not None),
    # The linear probe.
    Refused(
        lambda c: c.optim.optimizer == "ridge",  # of older versions; as accurate as lbfgs
        "--optimizer ridge is not offered any more; use lbfgs, as with --freeze alone.",
    ),
    Default("optimizer", lambda c: "lbfgs" if c.model.frozen else "adamw"),
    Refused(
        lambda c: _is_probe(c) and not c.model.freeze,
        "--optimizer {optimizer} fits the head of a frozen backbone; add --freeze.",
    ),
    Refused(
        lambda c: _is_probe(c) and not c.model.frozen,
        "--optimizer {optimizer} fits the head of a frozen backbone; leave out --unfreeze-after.",
    ),
    Unused(_BY_STEPS, "{the_optimizer}; add --optimizer sgd to use it", _is_probe),
    Unused(
        ["init"],
        "--optimizer {optimizer}, whose optimum depends on no start",
        lambda c: _is_probe(c) and _is_pretrained(c),
    ),
    Checked(_check_head_decay, _is_probe),
    Default("augment", "none", _is_probe),
    Default("epochs", MAX_ITERATIONS, _is_probe),
    # Training by steps: the optimizer.
    Checked(lambda c: check_optimizer(_name(c)), _by_steps),
    Unused(
        ["momentum"],
        "--optimizer {optimizer}",
        lambda c: _by_steps(c) and not has_momentum(_name(c)),
    ),
    Unused(
        ["dampening", "nesterov"],
        "--optimizer {optimizer}; it is sgd's",
        lambda c: _name(c) not in SGD,
    ),
    Refused(
        lambda c: bool(c.optim.dampening and c.optim.nesterov),
        "--dampening {dampening:g} does not go with --nesterov.",
    ),
    Refused(
        lambda c: bool(c.optim.nesterov) and c.optim.momentum == 0,
        "--nesterov looks ahead along the momentum; --momentum 0 leaves none.",
    ),
    Default("epochs", lambda c: 10 if _is_pretrained(c) else 30),
    Default("batch_size", 64, _by_steps),
    Default("lr", _learning_rate, _by_steps),
    Default("momentum", 0.9, lambda c: _by_steps(c) and has_momentum(_name(c))),
    Default(
        "nesterov",
        lambda c: _name(c) == "sgd" and not c.optim.dampening and c.optim.momentum != 0,
        lambda c: _name(c) in SGD,
    ),
    Default(
        "norms",
        lambda c: "kept" if _is_pretrained(c) else "batch",
        lambda c: not c.model.frozen,
    ),
    Default("weight_decay", lambda c: default_decay(_name(c)), _by_steps),
    Default("augment", lambda c: "none" if c.model.frozen else "photo"),
    # Few labels serve training better than validation.
    Default("val_share", lambda c: 0.1 if c.data.labels_per_class is None else 0.0, _by_steps),
    Default("patience", 10, _by_steps),
    # Training by steps: the batch, the backbone and the learning rate over epochs.
    Refused(
        lambda c: 0 < (c.optim.grow_batch or 0) < (c.optim.batch_size or 0),
        "--grow-batch {grow_batch} is less than the {batch_size} photos it begins with.",
    ),
    Refused(
        lambda c: c.optim.grow_batch is not None and c.optim.epochs == 1,
        "--grow-batch {grow_batch} needs more than one epoch to grow in.",
    ),
    Refused(
        lambda c: (c.model.unfreeze_after or 0) >= (c.optim.epochs or 0),
        "--unfreeze-after {unfreeze_after} leaves none of {all_epochs} for the backbone; use "
        "fewer, or leave it out.",
    ),
    Default("schedule", "cosine", _by_steps),
    Default(
        "warmup",
        lambda c: WARM.get(c.optim.schedule or "", 0.0) * (c.optim.epochs or 0),
        _by_steps,
    ),
    Refused(
        lambda c: (c.optim.warmup or 0) >= (c.optim.epochs or 0),
        "--warmup {warmup:g} leaves none of {all_epochs}; use fewer.",
    ),
    Unused(
        ["decay_every", "decay_factor"],
        "--schedule {schedule}",
        lambda c: not _has_decays(c),
    ),
    Default("decay_every", lambda c: _decay(c)[0], _has_decays),
    Default("decay_factor", lambda c: _decay(c)[1], _has_decays),
)
