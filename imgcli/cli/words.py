"""Choices as words: what each may be, and the command that trains by them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from imgcli.cli.choices import Choices

if TYPE_CHECKING:
    from imgcli.records import TrainConfig
    from imgcli.training.tuning.search_space import Kinds


def searchable() -> dict[str, tuple[str, "Kinds"]]:
    """Each choice's field and what it may be, by the name of its option.

    The types are those of `TrainConfig`; where it has any text, the words that the option takes.
    """
    from imgcli.records import TrainConfig

    fields = get_type_hints(TrainConfig)
    found: dict[str, tuple[str, Kinds]] = {}
    for field, annotation in get_type_hints(Choices, include_extras=True).items():
        asked, option = get_args(annotation)
        words = [kind for kind in _members(asked) if isinstance(kind, tuple)]
        kinds = [words[0] if kind is str and words else kind for kind in _members(fields[field])]
        if all(isinstance(kind, tuple) or kind in (bool, int, float, str) for kind in kinds):
            found[_switches(option)[0].removeprefix("--")] = (field, kinds)
    return found


def _members(annotation: Any) -> list[Any]:
    """The kinds in an annotation, None left out; of a Literal its words."""
    if get_origin(annotation) is Literal:
        return [get_args(annotation)]
    if get_origin(annotation) in (None, list, dict):
        return [] if annotation is type(None) else [annotation]
    return [kind for part in get_args(annotation) for kind in _members(part)]


def _switches(option: Any) -> list[str]:
    """How an option is typed: its name and, of a switch, what turns it off."""
    # typer takes the first word in an Annotated for a default, until it makes the command.
    return str((*option.param_decls, option.default)[0]).split("/")


def typed_train(config: "TrainConfig", data: Path, out: Path) -> str:
    """The command that trains by `config`."""
    from shlex import join

    from imgcli.records import TrainConfig

    usual = TrainConfig(arch="").with_(track_test=False)
    words = ["imgcli", "train"]
    for field, annotation in get_type_hints(Choices, include_extras=True).items():
        value = getattr(config, field)
        if value != getattr(usual, field):
            words += _words(_switches(get_args(annotation)[1]), value)
    for name, given, default in (
        ("--data", str(data), "dataset"),
        ("--out", str(out), "runs"),
        ("--seed", str(config.seed), "0"),
    ):
        words += [name, given] if given != default else []
    return join(words)


def _words(switches: list[str], value: Any) -> list[str]:
    if isinstance(value, bool):
        return [switches[0 if value else 1]]
    if isinstance(value, dict):
        return [word for key, v in value.items() for word in (switches[0], f"{key}={_literal(v)}")]
    return [switches[0], str(value)]


def _literal(value: Any) -> str:
    """A model's argument as `config_of` reads it back: text in quotes only where it must be."""
    from ast import literal_eval

    if not isinstance(value, str):
        return repr(value)
    try:
        literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return repr(value)
