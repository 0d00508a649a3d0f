"""Features that the cache has are found without the network, and are those it would give."""

from pathlib import Path

import numpy as np
import pytest

from imgcli.runs import CACHE, Run
from imgcli.training.features import features_of
from imgcli.training.known_features import NAME, features_of_run
from imgcli.training.scoring import score_folds
from tests.support.trained_runs import FROZEN, trained


def test_features_are_found_again_without_a_network(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(FROZEN)
    said = score_folds(run, None, "train", 3, device="cpu").predictions.at(np.arange(35, -1, -1))
    expected = features_of(run, said, device="cpu")
    assert expected is not None and (run.folder / NAME).is_file()

    def no_more(*args: object) -> None:
        raise AssertionError("a network was loaded")

    monkeypatch.setattr("imgcli.training.features.load_model", no_more)
    found = features_of_run(run, said)
    assert found is not None
    np.testing.assert_array_equal(found, expected)


def forgotten(run: Run) -> None:
    """A photo's row is gone from the cache."""
    (store,) = (CACHE / "features").iterdir()
    (store / "index.bin").write_bytes((store / "index.bin").read_bytes()[:-1])


def of_another_version(run: Run) -> None:
    document = run.read_json(NAME)
    run.write_json(NAME, {**document, "made_by": "imgcli 0"})


def damaged(run: Run) -> None:
    (run.folder / NAME).write_text("{}")


@pytest.mark.parametrize("what", [forgotten, of_another_version, damaged])
def test_else_the_network_gives_them(
    here: Path, monkeypatch: pytest.MonkeyPatch, what: object
) -> None:
    run = trained(FROZEN)
    said = score_folds(run, None, "train", 3, device="cpu").predictions
    expected = features_of(run, said, device="cpu")
    assert callable(what)
    what(run)
    asked = []

    def remade(*words: object) -> object:
        asked.append(words)
        return expected

    monkeypatch.setattr("imgcli.training.features.features_of", remade)
    assert features_of_run(run, said) is expected and len(asked) == 1
