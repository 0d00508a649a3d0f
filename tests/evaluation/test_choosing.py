"""Which candidate is best, and which are hopeless."""

import numpy as np
import pytest

from imgcli.evaluation.choosing import MARGIN, standings
from imgcli.evaluation.paired_tests import exact_mcnemar_test
from imgcli.records import Predictions
from tests.support.predictions import predictions, sure


def judged(wrong: range, n: int = 400) -> Predictions:
    """n photos of two classes, those in `wrong` predicted as the other."""
    targets = np.arange(n) % 2
    said = np.where(np.isin(np.arange(n), wrong), 1 - targets, targets)
    return predictions(targets, sure(said, 2), fold=np.arange(n) % 5)


def test_the_most_accurate_is_first_and_of_equals_the_one_given_first() -> None:
    found = standings({"a": judged(range(20)), "c": judged(range(8)), "b": judged(range(50, 58))})
    assert found.ranked == ("c", "b", "a") and found.best == "c"
    assert found.behind.keys() == {"b", "a"}
    assert found.behind["a"].value == pytest.approx(12 / 400) and found.behind["b"].value == 0


def test_a_p_value_is_the_exact_mcnemar_tests_corrected_for_all_pairs() -> None:
    given = {"a": judged(range(20)), "b": judged(range(8)), "c": judged(range(7))}
    found = standings(given)
    alone = exact_mcnemar_test(given["c"], given["a"])
    assert found.best == "c" and found.behind["a"].p_alone == pytest.approx(alone)
    assert found.behind["a"].p_value == pytest.approx(3 * alone)  # the least of three
    assert not found.behind["b"].shown and found.behind["a"].shown


def test_hopeless_is_who_is_behind_by_more_than_the_margin_with_all_of_the_interval() -> None:
    near, far = judged(range(10)), judged(range(60))
    found = standings({"best": judged(range(4)), "near": near, "far": far})
    assert found.hopeless == ("far",)
    assert found.behind["far"].ci95[0] > MARGIN > found.behind["near"].ci95[0]


def test_the_same_lead_on_fewer_photos_drops_nobody() -> None:
    few, many = (standings({"best": judged(range(0), n), "far": judged(range(n // 10), n)})
                 for n in (40, 400))  # fmt: skip
    assert few.behind["far"].value == many.behind["far"].value == pytest.approx(0.1)
    assert few.hopeless == () and many.hopeless == ("far",)


def test_one_candidate_is_the_best() -> None:
    found = standings({"alone": judged(range(4))})
    assert found.ranked == ("alone",) and found.behind == {} and found.hopeless == ()
