"""The choices of a training as options of a command."""

import inspect
from ast import literal_eval
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import typer

from imgcli.config import Choice, choices
from imgcli.errors import WrongUsage

Command = TypeVar("Command", bound=Callable[..., Any])


def option_of(name: str) -> Any:
    """The option of a choice, for an `Annotated` parameter."""
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
    """What typer parses: the choice's own type if typer knows it, else text."""
    (kind, *others) = choice.kinds
    if kind in (dict, tuple):
        return list[str] | None
    if others:  # a number or a word
        return str | None
    if isinstance(kind, tuple):
        return int | None if isinstance(kind[0], int) else Literal[kind] | None
    return kind | None


def with_training_options(command: Command) -> Command:
    """Show typer every choice of a training in place of a command's `**chosen`."""
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


def parsed(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The choices typed, as values of their own types.

    Raises:
        WrongUsage: a value that cannot be read.
    """
    given = {name: value for name, value in chosen.items() if value is not None}
    if "model_args" in given:
        given["model_args"] = _model_args(given["model_args"])
    if "group_by" in given:
        given["group_by"] = tuple(given["group_by"]) or None
    if given.get("lr", "auto") != "auto":
        given["lr"] = _number("--lr", given["lr"])
    return given


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
