"""Every choice of a training is declared once: options, limits and documents come from it."""

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.config import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
    check_limits,
    choices,
    grouped,
    option,
)
from imgcli.documents import as_type
from imgcli.errors import WrongUsage
from imgcli.training.augment import RECIPES
from imgcli.training.lr_schedules import SCHEDULES

GROUPS = (ModelConfig, OptimConfig, AugmentConfig, DataConfig)


def test_names_are_one_flat_namespace() -> None:
    names = [one.name for kind in GROUPS for one in fields(kind)]
    assert len(names) == len(set(names))
    assert set(TrainConfig().to_json()) == {*names, "seed", "augment"} - {"recipe"}


def test_every_choice_can_be_asked_for_but_those_that_commands_declare() -> None:
    elsewhere = {"notation", "seed", "bag", "bag_of"}
    assert set(choices()) == set(TrainConfig().to_json()) - elsewhere


def test_every_choice_is_explained_in_a_panel() -> None:
    panels = {"Network", "Training", "Regularisation", "Augmentation", "Few labels"}
    assert {choice.help.panel for choice in choices().values()} == panels
    assert all(choice.help.text.endswith((".", "…")) for choice in choices().values())


def test_choices_are_called_as_they_are_typed() -> None:
    assert option("batch_size") == "--batch-size"
    assert option("model_args") == "--model-arg"
    assert option("augment") == "--augment"
    assert option("bag") == "--bag"


@pytest.mark.parametrize(
    ("name", "known"), [("schedule", set(SCHEDULES)), ("augment", set(RECIPES))]
)
def test_an_option_takes_the_words_that_training_knows(name: str, known: set[str]) -> None:
    assert set(choices()[name].words) == known


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"lr": -1.0}, "--lr -1 must be above 0."),
        ({"lr": "fast"}, "--lr fast is neither a number nor auto."),
        ({"lr": float("nan")}, "--lr nan must be a finite number above 0."),
        ({"mixup": 0.001}, "--mixup 0.001 must be 0, or at least 0.01 and at most 100."),
        ({"schedule": "no"}, "--schedule no is not known; use cosine, one-cycle, "),
        ({"channels": 2}, "--channels 2 is not known; use 1, 3."),
        ({"val_share": 0.95}, "--val-share 0.95 must be at least 0 and below 0.9."),
        ({"seed": -1}, "--seed -1 must be at least 0"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_may_be(
    choice: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(WrongUsage) as caught:
        check_limits(TrainConfig.of(**choice))
    assert str(caught.value).startswith(sentence)


def test_what_may_be_is_let_through() -> None:
    check_limits(TrainConfig())
    check_limits(TrainConfig.of(lr="auto", mixup=0, schedule="step", channels=1, val_share=0))


@given(st.sets(st.sampled_from(sorted(set(choices()) - {"arch", "model_args"}))))
def test_a_config_comes_back_from_its_document(names: set[str]) -> None:
    of_kind = {bool: True, int: 3, float: 0.5, str: "a", tuple: ("a", "b")}
    values = {
        name: choices()[name].words[0] if choices()[name].words else of_kind[kind]
        for name in names
        for kind in choices()[name].kinds[:1]
    }
    config = TrainConfig.of(arch="x", **values)
    assert as_type(grouped(config.to_json()), TrainConfig) == config
    assert set(config.changed()) >= {n for n in names if values[n] != choices()[n].value}


def test_a_name_that_is_no_choice_is_our_own_mistake() -> None:
    with pytest.raises(TypeError, match="no choice is called 'learning_rate'"):
        TrainConfig.of(learning_rate=1)
