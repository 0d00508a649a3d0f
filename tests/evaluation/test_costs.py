"""What mistakes cost: read from tables, counted by hand, never above the plain answers' cost."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcli.errors import DataError
from imgcli.evaluation.costs import Costs, cost_figures, read_costs
from imgcli.evaluation.decisions import by_cost
from tests.support.predictions import independent, predictions

NAMES = ("cat", "dog")


def table(tmp_path: Path, text: str) -> Path:
    (tmp_path / "costs.csv").write_text(text)
    return tmp_path / "costs.csv"


@pytest.mark.parametrize(
    ("text", "matrix"),
    [
        ("class,cat,dog\ncat,0,5\ndog,1,0\n", [[0, 5], [1, 0]]),
        ("true;dog;cat\ndog;0;1,5\ncat;5;0\n", [[0, 5], [1.5, 0]]),
        ("class,cat,dog,unsure\ncat,0,5,0.5\ndog,1,0,0.25\n", [[0, 5, 0.5], [1, 0, 0.25]]),
        ("class,answer,cost\ncat,dog,5\n", [[0, 5], [1, 0]]),
        ("Answer,Class,Cost\nunsure,cat,.5\nunsure,dog,.25\n", [[0, 1, 0.5], [1, 0, 0.25]]),
    ],
)
def test_costs_are_a_matrix_or_a_mistake_in_each_row(
    tmp_path: Path, text: str, matrix: list[list[float]]
) -> None:
    assert read_costs(table(tmp_path, text), NAMES).matrix.tolist() == matrix


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("class,cat,dog\ncat,0,5\n", "lacks a row for 'dog'"),
        ("class,cat\ncat,0\ndog,1\n", "lacks a column for 'dog'"),
        ("class,cat,dog,owl\ncat,0,5,1\ndog,1,0,1\n", "has costs of 'owl', which the run"),
        ("class,cat,dog\ncat,0,5\ndog,1,0\ndog,1,0\n", "more than one row for 'dog'"),
        ("class,cat,dog\ncat,0,much\ndog,1,0\n", "cost 'much' of answering 'dog' to a photo of"),
        ("class,cat,dog\ncat,0,inf\ndog,1,0\n", "the cost 'inf'"),
        ("class,answer,cost\ncat,owl,5\n", "has costs of 'owl'"),
        ("class,answer,cost\ncat,unsure,5\n", "and not for 'dog'"),
        ("", "has no rows"),
    ],
)
def test_a_table_that_is_not_of_these_classes_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        read_costs(table(tmp_path, text), NAMES)


def test_the_dear_mistake_is_avoided() -> None:
    costs = Costs(NAMES, np.array([[0.0, 10.0], [1.0, 0.0]]))  # calling a cat a dog costs ten
    probs = np.array([[0.2, 0.8], [0.05, 0.95]])
    assert costs.expected(probs).tolist() == [[0.8, 2.0], [0.95, pytest.approx(0.5)]]
    assert costs.answers(probs).tolist() == [0, 1]


def test_of_answers_that_cost_the_same_the_most_probable_is_given() -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    names = tuple("abcd")
    assert (Costs(names, np.ones((4, 4))).answers(probs) == probs.argmax(1)).all()
    assert (Costs(names, 1 - np.eye(4)).answers(probs) == probs.argmax(1)).all()


def test_no_answer_is_given_where_it_costs_least() -> None:
    costs = Costs(NAMES, np.array([[0.0, 1.0, 0.1], [1.0, 0.0, 0.1]]))
    probs = np.array([[0.95, 0.05], [0.6, 0.4]])
    assert costs.answers(probs).tolist() == [0, 2]
    some = predictions([0, 1], probs, NAMES)
    found = cost_figures(some, costs)
    assert (found.unsure, found.changed) == (1, 1)
    assert found.most_probable.value == 0.5 and found.least.value == 0.05
    decided = by_cost(probs, NAMES, costs, found)
    assert decided.answers.tolist() == [0, -1]
    assert [one["unsure"] for one in decided.photos] == [False, True]
    assert [one["expected_cost"] for one in decided.photos] == pytest.approx([0.05, 0.1])


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_what_is_decided_never_costs_more_on_held_out_photos(seed: int) -> None:
    """Also by probabilities that say nothing."""
    rng = np.random.default_rng(seed)
    some = predictions(rng.integers(3, size=60), rng.dirichlet(np.ones(3), 60))
    costs = Costs(some.classes, rng.random((3, 3)) * (1 - np.eye(3)) * 10)
    found = cost_figures(some, costs)
    paid = {"least cost": found.least, "most probable": found.most_probable}[found.decides]
    assert paid.value <= found.most_probable.value
    decided = by_cost(some.probs, some.classes, costs, found)
    assert costs.of(some.targets, decided.answers).mean() == pytest.approx(paid.value)


def test_the_interval_holds_the_cost_of_new_photos() -> None:
    rng, held = np.random.default_rng(0), []
    costs = Costs(tuple("abc"), np.array([[0, 1, 8], [1, 0, 1], [2, 1, 0.0]]))
    truth = np.mean([_paid(independent(rng, 3, 1.5, (400, 401)), costs) for _ in range(60)])
    for _ in range(200):
        found = cost_figures(independent(rng, 3, 1.5, (60, 61)), costs).least
        held.append(found.ci95[0] <= truth <= found.ci95[1])
    assert 0.91 <= np.mean(held) <= 0.99


def _paid(some: object, costs: Costs) -> float:
    return cost_figures(some, costs).least.value  # type: ignore[arg-type]


def test_copies_of_photos_narrow_no_interval() -> None:
    some = independent(np.random.default_rng(0), 3, 1.5, (60, 61))
    costs = Costs(some.classes, 1 - np.eye(3))
    row = np.repeat(np.arange(len(some)), 4)
    copied = predictions(some.targets[row], some.probs[row], groups=row)
    wide, copies = (cost_figures(one, costs).least for one in (some, copied))
    assert copies.ci95 == pytest.approx(wide.ci95)
