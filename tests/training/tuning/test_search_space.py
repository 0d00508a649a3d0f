"""What is searched, from how it is typed to a config whose open choices are filled in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from imgcli.config import TrainConfig
from imgcli.errors import ModelError, WrongUsage
from imgcli.training.tuning.search_space import (
    Axis,
    Space,
    check_space,
    default_space,
    parse_search,
    range_axes,
    sample,
)

PLAIN = TrainConfig.of(arch="8C3-P2-16")


def parsed(*searches: str) -> Space:
    return parse_search(searches)


def described(*searches: str) -> list[str]:
    return [axis.describe() for axis in parsed(*searches).values()]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("lr=1e-4..1e-1", "0.0001..0.1:log"),  # ends 1,000 times apart
        ("lr=0.01..0.05", "0.01..0.05:linear"),
        ("lr=0.01..0.1", "0.01..0.1:log"),  # 10 times is enough
        ("lr=0.01..0.05:log", "0.01..0.05:log"),
        ("lr=1e-4..1e-1:linear", "0.0001..0.1:linear"),
        ("dropout=0..0.6", "0..0.6:linear"),  # 0 has no logarithm
        ("batch-size=32..256", "32..256:linear"),
        ("batch-size=32,64,128", "32,64,128"),
        ("optimizer=sgd,adam, adamw", "sgd,adam,adamw"),
        ("schedule=cosine,one-cycle", "cosine,one-cycle"),
        ("batchnorm=yes,no", "yes,no"),
        ("lr=auto,0.1", "auto,0.1"),
        ("arch={16,32}C3-8,{8..64}C5-8", "{16,32}C3-8,{8..64}C5-8"),  # commas in braces are no ends
    ],
)
def test_a_choice_is_searched_as_it_is_typed(search: str, expected: str) -> None:
    assert described(search) == [expected]
    assert described(f"{search.partition('=')[0]}={expected}") == [expected]  # and typed again


def test_types_are_those_of_the_config() -> None:
    space = parsed("batch-size=8,16", "lr=1,2", "nesterov=yes,no", "weight-decay=0,1e-3")
    values = {axis.field: axis.values.choices for axis in space.values()}  # type: ignore[attr-defined]
    assert values == {
        "batch_size": (8, 16),
        "lr": (1.0, 2.0),
        "nesterov": (True, False),
        "weight_decay": (0.0, 0.001),
    }
    assert [type(v) for v in values["batch_size"]] == [int, int]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("lr", "--search lr is not NAME=SPEC, such as lr=1e-4..1e-1"),
        ("lr=", "is not NAME=SPEC"),
        ("rate=1..2", "no choice 'rate'; use arch, .*lr"),
        ("lr=high..low", "lr=high..low is not two numbers, such as 1e-4..1e-1"),
        ("batch-size=0.5..64", "is not two whole numbers, such as 32..256"),
        ("batch-size=8..64..128", "is not two whole numbers"),
        ("lr=0.1..0.01", "is empty: the first number must be below the second"),
        ("lr=0.1..0.1", "is empty"),
        ("dropout=0..0.6:log", ":log needs numbers above 0; use :linear"),
        ("batchnorm=yes,maybe", "'maybe' is not yes or no"),
        ("schedule=cosine,sine", "'sine' is not one of cosine, one-cycle"),
        ("batch-size=8,many", "'many' is not a whole number"),
        ("lr=0.1,fast", "'fast' is not a number or one of auto"),
        ("optimizer=sgd,", "'' is not a name"),
        ("lr=0.1", "leaves nothing to choose; fix it with --lr"),
        ("lr=0.1,0.1", "names a value twice"),
        ("val-share=0.1,0.2", "val-share cannot be searched: trials are compared on the same"),
        ("track-test=yes,no", "track-test cannot be searched: the test part is sealed"),
        ("model-arg=a,b", "no choice 'model-arg'"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(search: str, message: str) -> None:
    with pytest.raises(WrongUsage, match=message):
        parsed(search)


def test_a_choice_is_searched_once() -> None:
    with pytest.raises(WrongUsage, match="names lr twice"):
        parsed("lr=0.1..1", "lr=1..2")


def test_the_default_space_is_around_the_defaults_of_train() -> None:
    assert {name: axis.describe() for name, axis in default_space(PLAIN).items()} == {
        "batch-size": "16..256:log",
        "lr": "3e-05..0.003:log",
        "weight-decay": "0.005..0.5:log",
    }
    sgd = default_space(PLAIN.with_(optimizer="sgd", batch_size=32))
    assert {name: axis.describe() for name, axis in sgd.items()} == {
        "lr": "0.001..0.1:log",
        "weight-decay": "5e-05..0.005:log",
    }


def test_a_head_fitted_to_its_optimum_is_searched_by_what_regularises_it() -> None:
    frozen = TrainConfig.of(arch="resnet18", freeze=True)
    assert list(default_space(frozen)) == ["label-smoothing", "weight-decay"]


def test_an_open_arch_is_searched_around_its_own_defaults() -> None:
    open_ = TrainConfig.of(arch="{16..64}C5-P2-{32..128}")
    assert default_space(open_)["lr"].describe() == "3e-05..0.003:log"  # of a net without weights
    assert range_axes({}, open_) == {
        "{16..64} at 1": "16..64:linear",
        "{32..128} at 15": "32..128:linear",
    }


@pytest.mark.parametrize(
    ("search", "config", "message"),
    [
        ("label-smoothing=0..1.6", PLAIN, "--label-smoothing 1.6 must be"),
        ("batch-size=0..64", PLAIN, "--batch-size 0 must be above 0"),
        (
            "lr=0.1..1",
            PLAIN.with_(lr=0.1),
            "--lr 0.1 is fixed and --search names lr; leave one out",
        ),
        (
            "lr=0.1..1",
            TrainConfig.of(arch="{8..x}C3-8"),
            r"'\{8..x\}' at position 1 .* is no range",
        ),
    ],
)
def test_a_space_without_sense_is_refused_before_the_first_trial(
    search: str, config: TrainConfig, message: str
) -> None:
    with pytest.raises((WrongUsage, ModelError), match=message):
        check_space(parsed(search), config)


def test_nothing_to_search_is_a_sentence() -> None:
    fixed = PLAIN.with_(lr=0.1, batch_size=8, weight_decay=0.1)
    with pytest.raises(WrongUsage, match="There is nothing to search"):
        check_space(default_space(fixed), fixed)
    check_space({}, fixed.with_(arch="{8,16}C3-8"))


def filled(space: Space, config: TrainConfig, **values: Any) -> TrainConfig:
    return sample(space, config, FixedTrial(values))  # type: ignore[arg-type]


def test_a_trial_fills_in_every_open_choice() -> None:
    space = parsed("lr=1e-4..1e-1", "weight-decay=0,0.1")
    config = TrainConfig.of(arch="{8..64}C{3,5}-D{0.1..0.5}-16", epochs=3)
    values = {"{8..64} at 1": 24, "{3,5} at 9": 5, "{0.1..0.5} at 16": 0.25}
    got = filled(space, config, lr=0.0123456, **{"weight-decay": 0.1}, **values)
    assert got == TrainConfig.of(arch="24C5-D0.25-16", epochs=3, lr=0.0123, weight_decay=0.1)


def test_of_several_archs_only_the_one_that_is_tried_is_filled_in() -> None:
    space = parsed("arch={8,16}C3-8,{8,16}C5-8")
    values = {"arch": "{8,16}C5-8", "{8,16} at 1 of {8,16}C5-8": 16}
    assert filled(space, PLAIN, **values).model.arch == "16C5-8"
    assert len(range_axes(space, PLAIN)) == 2


@given(st.floats(1e-6, 1.0), st.floats(1.001, 1e4), st.floats(0, 1))
def test_trial_values_are_in_their_range_and_short_enough_to_type(
    low: float, factor: float, where: float
) -> None:
    from optuna.distributions import FloatDistribution

    axis = Axis("lr", FloatDistribution(low, low * factor))
    asked = min(low + where * (low * factor - low), low * factor)
    tried = filled({"lr": axis}, PLAIN, lr=asked).optim.lr
    assert isinstance(tried, float) and low <= tried <= low * factor
    assert tried in (low, low * factor) or len(f"{tried:.3g}".strip("0.")) <= 9
    assert tried in (low, low * factor, float(f"{tried:.3g}"))
