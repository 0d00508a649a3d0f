"""`imgcli next` as it is typed and called."""

import csv
import io
import json
from pathlib import Path

import pytest

from imgcli.commands.next_photos import next_photos
from tests.support.photos import write_classes
from tests.support.shell import Printed, Shell
from tests.support.unlabelled import NETWORK, true_label, write_roll
from tests.support.weights import write_weights


@pytest.fixture
def roll(here: Path) -> Path:
    return write_roll()


def label(name: str) -> None:
    colour = true_label(name)
    Path("raw", colour).mkdir(parents=True, exist_ok=True)
    Path("raw", colour, Path(name).name).hardlink_to(name)


def test_it_returns_what_the_command_prints_and_sees_the_labels(
    roll: Path, printed: Printed
) -> None:
    first = next_photos(roll, 30, arch="test_resnet", weights="weights.safetensors")
    assert len(first.photos) == 30 and first.left == 60 and first.audit.labels == 0
    assert {photo.guess for photo in first.photos} == {None}
    assert sum(photo.random for photo in first.photos) == 6
    for photo in first.photos:
        label(photo.path)
    again = next_photos(roll, 10, arch="test_resnet", weights="weights.safetensors")
    assert printed("next", "photos", "-n", "10", *NETWORK) == again.to_json()
    assert again.left == 30 and again.audit.labels == 30
    assert sum(again.classes.values()) == 30 and set(again.classes) == {"red", "green", "blue"}
    assert {photo.guess for photo in again.photos} <= set(again.classes)
    assert not {photo.path for photo in again.photos} & {photo.path for photo in first.photos}


def test_the_list_is_csv_or_tasks_of_label_studio(roll: Path, shell: Shell) -> None:
    rows = list(
        csv.DictReader(io.StringIO(shell("next", "photos", *NETWORK, "--format", "csv").out))
    )
    assert len(rows) == 50 and set(rows[0]) == {"path", "guess", "random"}
    tasks = json.loads(shell("next", "photos", *NETWORK, "--format", "label-studio").out)
    assert [task["meta"]["path"] for task in tasks] == [row["path"] for row in rows]
    assert tasks[0]["data"]["image"] == f"/data/local-files/?d={rows[0]['path']}"
    assert tasks[0]["predictions"] == []


def test_bad_input_is_one_sentence(roll: Path, shell: Shell) -> None:
    assert "asks for no photo" in shell("next", "photos", "-n", "0").err
    assert "give one of them" in shell("next", "photos", "--format", "csv", "--json").err
    assert "No file or folder" in shell("next", "nothing", *NETWORK).err


def test_a_photo_that_is_labelled_already_is_not_asked_for(here: Path, shell: Shell) -> None:
    write_classes(Path("raw"))
    write_weights(Path("weights.safetensors"))
    assert "are labelled" in shell("next", "raw", *NETWORK).err
