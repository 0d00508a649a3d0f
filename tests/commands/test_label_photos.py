"""`imgcli label` as it is typed: one key a photo, until Ctrl-C."""

import json
from pathlib import Path
from typing import Any

import pytest

from imgcli.commands.restore import restore
from tests.support.pages import ended, typed
from tests.support.shell import Shell
from tests.support.trees import file_states
from tests.support.unlabelled import NETWORK, true_label, write_roll


@pytest.fixture
def roll(here: Path) -> Path:
    return write_roll()


def truth(item: dict[str, Any]) -> str:
    return true_label(item["photos"][0]["name"])


def test_labels_become_class_folders_and_the_same_command_goes_on(roll: Path) -> None:
    before = file_states(roll)
    words = ("label", "photos", "--classes", "red,green", *NETWORK)
    with typed(*words, "--json") as running:
        page = running.page
        for n in range(40):
            item = page.items("label")[0]
            assert item["question"] == "What is this?" and "path" not in item
            found = page.decide("label", item["id"], choice=f"is:{truth(item)}")
            assert found["refused"] == [] and found["progress"]["decided"] == n + 1
        assert (
            "Accuracy" in found["progress"]["sentence"]
            or "accuracy" in found["progress"]["sentence"]
        )
        page.undo("label")
        document = json.loads(ended(running.process))
    assert document["labelled"] == 39 and sum(document["classes"].values()) == 39
    assert file_states(roll) == before
    placed = {p.name: p.parent.name for p in Path("raw").rglob("*.png")}
    assert len(placed) == 39
    assert all(true_label(name) == folder for name, folder in placed.items())
    with typed(*words) as running:
        waiting = {i["photos"][0]["name"] for i in running.page.items("label")}
        assert not waiting & {f"photos/{name}" for name in placed}
        assert "Nothing was labelled." in ended(running.process)
    restore("raw")
    assert not list(Path("raw").rglob("*.png")) and file_states(roll) == before


def test_a_killed_page_has_lost_no_label(roll: Path) -> None:
    with typed("label", "photos", "--classes", "red,green,blue", *NETWORK) as running:
        item = running.page.items("label")[0]
        running.page.decide("label", item["id"], choice=f"is:{truth(item)}")
        running.process.kill()
        running.process.wait()
    (placed,) = Path("raw").rglob("*.png")
    assert placed.parent.name == truth(item)
    assert len(restore("raw").taken_out) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("photos", "--out", "photos/raw"), "is inside 'photos'"),
        (("photos", "--classes", "Cat,cat"), "would be one folder"),
        (("nothing",), "No file or folder"),
    ],
)
def test_bad_input_is_one_sentence(
    roll: Path,
    shell: Shell,
    words: tuple[str, ...],
    sentence: str,
) -> None:
    typed_words = shell("label", *words, *NETWORK, "--no-browser")
    assert typed_words.code and sentence in typed_words.err
