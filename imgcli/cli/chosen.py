"""What was chosen on the command line, on its way from options to a `TrainConfig`."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from imgcli.cli.choices import Choices
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from pathlib import Path

    from imgcli.records import TrainConfig

Command = TypeVar("Command", bound=Callable[..., Any])


def with_choices(command: Command) -> Command:
    """Let typer see the choices that a command takes as `**choices: Unpack[Choices]`."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    chosen = [
        inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation
        )
        for name, annotation in get_type_hints(Choices, include_extras=True).items()
    ]
    first = sum(p.default is p.empty for p in own)
    parameters = [*own[:first], *chosen, *own[first:]]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def config_of(choices: Choices) -> "TrainConfig":
    """The choices as a config.

    Raises:
        WrongUsage: no network is named, or an argument for it is not KEY=VALUE.
    """
    from imgcli.records import TrainConfig

    asked: dict[str, Any] = {name: value for name, value in choices.items() if value is not None}
    if "arch" not in asked:
        raise WrongUsage("Name a network with --arch, such as --arch resnet101 --freeze.")
    asked["model_args"] = _model_args(asked.get("model_args", []))
    for name in ("weights", "pseudo_label"):
        if name in asked:  # runs/latest will soon be another run
            path: Path = asked[name]
            asked[name] = str(path.parent / path.readlink() if path.is_symlink() else path)
    if asked.get("lr", "auto") != "auto":
        asked["lr"] = _number("--lr", asked["lr"])
    return TrainConfig(**asked)


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise WrongUsage(f"{option} {text} is neither a number nor auto.") from None


def _model_args(pairs: list[str]) -> dict[str, Any]:
    """KEY=VALUE pairs; a value that reads as a Python literal is one, any other is text."""
    from ast import literal_eval

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
