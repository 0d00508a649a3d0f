"""What is computed without `scipy.stats`, which takes half a second to import, is what it says."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import brentq
from scipy.stats import binom, entropy, norm, rankdata

from imgcli.evaluation.merges.effects import information
from imgcli.evaluation.merges.null_model import sum_tail
from imgcli.evaluation.merges.separability import average_ranks, root_between
from imgcli.evaluation.subclasses import MAD
from imgcli.records import FloatArray

PROGRAM = """
import sys
import imgcli.evaluation.calibration, imgcli.evaluation.merges.suggest
assert not {"scipy.stats", "scipy.optimize", "matplotlib", "sklearn"} & set(sys.modules)
"""


def test_suggesting_merges_imports_neither_statistics_nor_optimisers() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


@pytest.mark.parametrize("share_b", [0.0, 1e-6, 0.2, 1.0])
@pytest.mark.parametrize("share_a", [0.0, 1e-6, 0.03, 0.7, 1.0])
@pytest.mark.parametrize(("made_a", "made_b"), [(0, 0), (0, 5), (7, 0), (40, 60), (3000, 9)])
def test_tails_are_those_of_binomials(
    made_a: int, made_b: int, share_a: float, share_b: float
) -> None:
    for found in (0, 1, 3, made_a, made_a + made_b, made_a + made_b + 1):
        x = np.arange(made_a + 1)
        expected = binom.pmf(x, made_a, share_a) @ binom.sf(found - x - 1, made_b, share_b)
        found_tail = sum_tail(found, made_a, share_a, made_b, share_b)
        assert found_tail == pytest.approx(min(expected, 1.0), rel=1e-9, abs=1e-250)


@given(arrays(np.float64, (3, 7), elements=st.integers(0, 4).map(float)))
def test_ranks_of_equal_values_are_their_mean(values: FloatArray) -> None:
    np.testing.assert_array_equal(average_ranks(values), rankdata(values, axis=-1))
    np.testing.assert_array_equal(average_ranks(values[0]), rankdata(values[0]))


def test_a_root_is_found_from_either_side() -> None:
    def cubic(x: float) -> float:
        return x**3 - 0.2

    root = brentq(cubic, 0.0, 1.0)
    assert root_between(cubic, 0.0, 1.0) == pytest.approx(root, abs=1e-11)
    assert root_between(lambda x: -cubic(x), 1.0, 0.0) == pytest.approx(root, abs=1e-11)


def test_information_is_in_bits() -> None:
    confusion = np.array([[8, 2, 0], [1, 5, 0], [0, 3, 4]])
    found = information(confusion)
    labels, preds = (entropy(confusion.sum(axis=axis), base=2) for axis in (1, 0))
    assert found.label_entropy == pytest.approx(labels, rel=1e-12)
    assert found.mutual == pytest.approx(labels + preds - entropy(confusion.ravel(), base=2))


def test_a_median_deviation_of_one_is_that_of_a_normal_distribution() -> None:
    assert pytest.approx(norm.ppf(0.75), rel=1e-15) == MAD
