"""What a search may choose from, and one choice of it as a config.

    lr=1e-4..1e-1            numbers between two ends, tried evenly by their logarithm where the one
                             is 10 times the other or more; `:log` and `:linear` decide otherwise
    batch-size=32..256       whole numbers, where the choice is of such
    optimizer=sgd,adamw      some of what the choice may be
    batchnorm=yes,no

and, in an arch, what its notation leaves open: `{16..64}C{3,5}-P2`.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from imgcli.config import Choice, TrainConfig, check_limits, choices
from imgcli.errors import WrongUsage
from imgcli.models.notation import Range, fill_ranges, find_ranges
from imgcli.training.probe.selection import L2_PENALTIES
from imgcli.training.resolve_defaults import resolve_defaults

Kinds = Sequence[type | tuple[str, ...]]  # what a choice may be: types, or the words there are

_DIGITS = 3  # of a number that is tried: enough to tell trials apart, few enough to type
_WIDE = 10.0  # times the lower end, from which on numbers are tried by their logarithm
_SCALE = re.compile(r"(.*\.\..*):(log|linear)")
_BETWEEN_VALUES = re.compile(r",(?![^{]*\})")  # no comma inside a range of an arch
_WORDS = {"yes": True, "true": True, "no": False, "false": False}
# Choices that decide which photos validate, or show trials the test part.
_NEVER = {
    "val_share": "trials are compared on the same validation photos",
    "track_test": "the test part is sealed",
    "group_table": "trials are compared on the same groups",
}


@dataclass(frozen=True)
class Axis:
    """One choice that is left to the search."""

    field: str  # the choice's flat name
    values: BaseDistribution

    def describe(self) -> str:
        """What it is chosen from, as it may be typed."""
        match self.values:
            case CategoricalDistribution(choices=choices):
                return ",".join(_written(value) for value in choices)
            case IntDistribution() | FloatDistribution() as between:
                scale = ":log" if between.log else ":linear"
                return f"{_written(between.low)}..{_written(between.high)}{scale}"
        raise AssertionError(self.values)


Space = Mapping[str, Axis]  # by the name of the option


def searchable() -> dict[str, Choice]:
    """The choices that a search may make, by the names of their options without dashes."""
    kinds = (bool, int, float, str)
    return {
        choice.option[2:]: choice
        for choice in choices().values()
        if all(isinstance(kind, tuple) or kind in kinds for kind in choice.kinds)
    }


def parse_search(searches: Sequence[str]) -> Space:
    """The axes of `NAME=SPEC`.

    Raises:
        WrongUsage: a name that is no choice, a value that the choice cannot have, nothing to
            choose from.
    """
    options = searchable()
    space: dict[str, Axis] = {}
    for search in searches:
        name, equals, spec = search.partition("=")
        if not equals or not spec:
            raise WrongUsage(f"--search {search} is not NAME=SPEC, such as lr=1e-4..1e-1.")
        if name not in options:
            raise WrongUsage(f"--search {search}: no choice '{name}'; use {', '.join(options)}.")
        choice = options[name]
        if choice.name in _NEVER:
            raise WrongUsage(
                f"--search {search}: {name} cannot be searched: {_NEVER[choice.name]}."
            )
        if name in space:
            raise WrongUsage(f"--search names {name} twice; give all it may be at once.")
        space[name] = Axis(choice.name, _distribution(search, spec, choice.kinds))
    return space


def _distribution(search: str, spec: str, kinds: Kinds) -> BaseDistribution:
    scaled = _SCALE.fullmatch(spec)
    ends, scale = scaled.groups() if scaled else (spec, None)
    if ".." in ends and "{" not in ends and (int in kinds or float in kinds):
        return _range(search, ends, scale, kinds)
    values = [_value(search, text.strip(), kinds) for text in _BETWEEN_VALUES.split(spec)]
    if len(set(values)) < len(values):
        raise WrongUsage(f"--search {search} names a value twice.")
    if len(values) == 1:
        name = search.partition("=")[0]
        raise WrongUsage(
            f"--search {search} leaves nothing to choose; fix it with --{name}, or give several "
            "values, or a range such as 1e-4..1e-1."
        )
    return CategoricalDistribution(values)


def _range(search: str, ends: str, scale: str | None, kinds: Kinds) -> BaseDistribution:
    number = int if int in kinds else float
    try:
        low, high = map(number, ends.split(".."))
    except ValueError:
        what = "two whole numbers" if number is int else "two numbers"
        example = "32..256" if number is int else "1e-4..1e-1"
        raise WrongUsage(f"--search {search} is not {what}, such as {example}.") from None
    if not low < high:
        raise WrongUsage(f"--search {search} is empty: the first number must be below the second.")
    if scale == "log" and low <= 0:
        raise WrongUsage(f"--search {search}: :log needs numbers above 0; use :linear.")
    log = scale == "log" or (scale is None and low > 0 and high / low >= _WIDE)
    return _between(low, high, log=log)


def _between(low: float, high: float, *, log: bool) -> BaseDistribution:
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _value(search: str, text: str, kinds: Kinds) -> Any:
    """A text as the first of the kinds that it reads as."""
    for kind in kinds:
        if kind is bool and text in _WORDS:
            return _WORDS[text]
        if isinstance(kind, tuple) and text in kind:
            return text
        if kind is str and text:
            return text
        with suppress(ValueError):
            if kind is int:
                return int(text)
            if kind is float:
                return float(text)
    raise WrongUsage(f"--search {search}: '{text}' is not {_wanted(kinds)}.")


def _wanted(kinds: Kinds) -> str:
    """What would do, for people."""
    names = {int: "a whole number", float: "a number", bool: "yes or no", str: "a name"}
    return " or ".join(
        "one of " + ", ".join(kind) if isinstance(kind, tuple) else names[kind] for kind in kinds
    )


# --- the whole space ----------------------------------------------------------------------------


def default_space(config: TrainConfig) -> Space:
    """What is worth searching where nothing was named: around what `train` would take.

    The learning rate and weight decay a factor of 10 each way, the batch size a factor of 4; of a
    linear probe, its regularisation.
    """
    resolved = resolve_defaults(config.with_(arch=_lowest(config.model.arch)))
    around: dict[str, BaseDistribution] = {}
    if resolved.optim.is_probe:
        around["weight_decay"] = FloatDistribution(min(L2_PENALTIES), max(L2_PENALTIES), log=True)
        around["label_smoothing"] = FloatDistribution(0.0, 0.2)
    else:
        size, decay = resolved.optim.batch_size or 1, resolved.optim.weight_decay or 0.01
        around["batch_size"] = IntDistribution(max(1, size // 4), 4 * size, log=True)
        around["weight_decay"] = FloatDistribution(_short(decay / 10), _short(decay * 10), log=True)
        if isinstance(resolved.optim.lr, float):
            rates = (_short(resolved.optim.lr / 10), _short(resolved.optim.lr * 10))
            around["lr"] = FloatDistribution(*rates, log=True)
    return {
        name.replace("_", "-"): Axis(name, values)
        for name, values in sorted(around.items())
        if config.get(name) is None
    }


def check_space(space: Space, config: TrainConfig) -> None:
    """Refuse what no trial could try, before the first.

    Raises:
        WrongUsage: a value out of its choice's limits, a choice that is fixed as well, nothing to
            search.
        ModelError: braces in an arch around something that is no range.
    """
    plain = TrainConfig.of(arch=config.model.arch)
    for name, axis in space.items():
        fixed = config.get(axis.field)
        if axis.field != "arch" and fixed != plain.get(axis.field):
            raise WrongUsage(f"--{name} {fixed} is fixed and --search names {name}; leave one out.")
        values = axis.values
        ends = values.choices if isinstance(values, CategoricalDistribution) else _ends(values)
        for value in ends:
            check_limits(plain.with_(**{axis.field: value}))
    open_ = [part for arch in _archs(space, config) for part in find_ranges(arch)]
    if not space and not open_:
        raise WrongUsage(
            "There is nothing to search: all that is searched by default is fixed. Name choices "
            "with --search, or a range such as {16..64} in --arch."
        )


def sample(space: Space, config: TrainConfig, trial: Trial) -> TrainConfig:
    """A config with a value of the trial for each open choice."""
    chosen = {axis.field: _ask(trial, name, axis.values) for name, axis in space.items()}
    arch = str(chosen.get("arch", config.model.arch))
    several = len(_archs(space, config)) > 1
    numbers = [
        _ask(trial, range_name(part, arch if several else None), _of_range(part))
        for part in find_ranges(arch)
    ]
    return config.with_(**{**chosen, "arch": fill_ranges(arch, numbers)})


def range_axes(space: Space, config: TrainConfig) -> dict[str, str]:
    """What the archs leave open: the name of each range, and what it is chosen from."""
    archs = _archs(space, config)
    return {
        range_name(part, arch if len(archs) > 1 else None): Axis("arch", _of_range(part)).describe()
        for arch in archs
        for part in find_ranges(arch)
    }


def range_name(part: Range, arch: str | None) -> str:
    """What a range in an arch is called, with the arch where there are several."""
    return f"{part.text} at {part.position}" + (f" of {arch}" if arch else "")


def _archs(space: Space, config: TrainConfig) -> Sequence[str]:
    if "arch" not in space:
        return (config.model.arch,)
    values = space["arch"].values
    assert isinstance(values, CategoricalDistribution)
    return [str(arch) for arch in values.choices]


def _of_range(part: Range) -> BaseDistribution:
    if part.choices:
        return CategoricalDistribution(part.choices)
    log = part.low > 0 and part.high / part.low >= _WIDE
    return _between(part.low, part.high, log=log)


def _lowest(arch: str) -> str:
    return fill_ranges(
        arch, [part.choices[0] if part.choices else part.low for part in find_ranges(arch)]
    )


def _ask(trial: Trial, name: str, values: BaseDistribution) -> Any:
    """One value, of few enough digits to be typed."""
    match values:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, values.choices)
        case IntDistribution():
            return trial.suggest_int(name, values.low, values.high, log=values.log)
        case FloatDistribution():
            asked = trial.suggest_float(name, values.low, values.high, log=values.log)
            return min(max(_short(asked), values.low), values.high)
    raise AssertionError(values)


def _ends(values: BaseDistribution) -> tuple[float, float]:
    assert isinstance(values, IntDistribution | FloatDistribution)
    return values.low, values.high


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
