"""The choices of a training as options of a command, and the command that makes a config."""

import inspect
from ast import literal_eval
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shlex import join
from typing import Annotated, Any, Literal, TypeVar

import typer

from imgcli.config import Choice, TrainConfig, choices
from imgcli.errors import WrongUsage

Command = TypeVar("Command", bound=Callable[..., Any])


def option_of(name: str) -> Any:
    """The option that asks for a choice, for an `Annotated` parameter."""
    choice = choices()[name]
    text = choice.help
    flags = f"{choice.option}/--no-{choice.option[2:]}" if text.negated else choice.option
    return typer.Option(
        flags,
        show_default=text.default or False,
        rich_help_panel=text.panel,
        metavar=text.metavar,
        help=text.text,
    )


def _asked(choice: Choice) -> Any:
    """What typer parses: the choice's own type where it knows it, text where it does not."""
    (kind, *others) = choice.kinds
    if kind is dict:
        return list[str] | None
    if others:  # a number or a word
        return str | None
    if isinstance(kind, tuple):
        return int | None if isinstance(kind[0], int) else Literal[kind] | None
    return kind | None


def with_training_options(command: Command) -> Command:
    """Let typer see every choice of a training where a command takes `**chosen`."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    chosen = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=None,
            annotation=Annotated[_asked(choice), option_of(name)],
        )
        for name, choice in choices().items()
    ]
    first = sum(p.default is p.empty for p in own)
    parameters = [*own[:first], *chosen, *own[first:]]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def config_of(chosen: Mapping[str, Any]) -> TrainConfig:
    """The config of what was typed; None is a choice that was left out.

    Raises:
        WrongUsage: no network is named, or a value cannot be read.
    """
    given = {name: value for name, value in chosen.items() if value is not None}
    if "arch" not in given:
        raise WrongUsage("Name a network with --arch, such as --arch resnet101 --freeze.")
    given["model_args"] = _model_args(given.get("model_args", []))
    for name in ("weights", "pseudo_label"):
        if name in given:  # runs/latest will soon be another run
            path = Path(given[name])
            given[name] = str(path.parent / path.readlink() if path.is_symlink() else path)
    if given.get("lr", "auto") != "auto":
        given["lr"] = _number("--lr", given["lr"])
    return TrainConfig.of(**given)


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise WrongUsage(f"{option} {text} is neither a number nor auto.") from None


def _model_args(pairs: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE pairs; a value that reads as a Python literal is one, any other is text."""
    parsed: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise WrongUsage(f"--model-arg {pair} is not KEY=VALUE, such as pad_type=same.")
        try:
            parsed[key] = literal_eval(value)
        except (ValueError, SyntaxError):
            parsed[key] = value
    return parsed


def typed_train(config: TrainConfig, data: Path, out: Path) -> str:
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


def _words(choice: Choice, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [choice.option if value else f"--no-{choice.option[2:]}"]
    if isinstance(value, Mapping):
        return [w for key, v in value.items() for w in (choice.option, f"{key}={_literal(v)}")]
    return [choice.option, str(value)]


def _literal(value: Any) -> str:
    """An argument of a model as `config_of` reads it back: text in quotes only where needed."""
    if not isinstance(value, str):
        return repr(value)
    try:
        literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return repr(value)
