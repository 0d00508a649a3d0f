"""What can be asked for on the command line is what a config holds, by the same names and words."""

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from imgcli.cli.choices import Choices
from imgcli.records import TrainConfig
from imgcli.training.limits import KNOWN, LIMITS, option

ASKED = get_type_hints(Choices, include_extras=True)


def words(annotation: Any) -> list[tuple[object, ...]]:
    """The words that an option takes, if it takes only some."""
    return [get_args(kind) for kind in get_args(annotation) if get_origin(kind) is Literal]


def test_every_choice_of_a_config_can_be_asked_for() -> None:
    elsewhere = {"notation", "seed", "bag", "bag_of"}  # which commands declare by themselves
    assert set(ASKED) == {field.name for field in fields(TrainConfig)} - elsewhere


@pytest.mark.parametrize("name", [*LIMITS, *KNOWN])
def test_what_is_refused_is_called_as_it_is_typed(name: str) -> None:
    _, declared = get_args(ASKED[name])
    # typer takes the first name for a default, until it makes the command.
    assert option(name) in (declared.default, *declared.param_decls)


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "channels"])  # a number
def test_an_option_takes_the_words_that_learning_knows(name: str) -> None:
    kinds, _ = get_args(ASKED[name])
    assert words(kinds) == [KNOWN[name]]
