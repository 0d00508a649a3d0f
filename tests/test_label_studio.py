"""Label Studio's JSON, written and read."""

import json
from pathlib import Path
from typing import Any

import pytest

from imgcli.commands.import_photos import import_photos
from imgcli.label_studio import task
from tests.support.photos import write_tree


def annotated(path: str, *choices: str, cancelled: bool = False) -> dict[str, Any]:
    """A task as Label Studio exports it, annotated by a person."""
    value = {"value": {"choices": list(choices)}, "from_name": "choice", "type": "choices"}
    annotation = {"result": [value] if choices else [], "was_cancelled": cancelled}
    return {"id": 1, **task(path, None), "annotations": [annotation]}


def test_a_task_names_the_photo_and_the_guess() -> None:
    assert task("a b/ü.jpg", "cat") == {
        "data": {"image": "/data/local-files/?d=a%20b/%C3%BC.jpg"},
        "meta": {"path": "a b/ü.jpg"},
        "predictions": [
            {
                "result": [
                    {
                        "from_name": "choice",
                        "to_name": "image",
                        "type": "choices",
                        "value": {"choices": ["cat"]},
                    }
                ]
            }
        ],
    }


@pytest.mark.parametrize("form", ["JSON", "JSON-MIN"])
def test_an_export_becomes_class_folders(here: Path, form: str) -> None:
    write_tree("photos", {"roll": 2, "ü b": 2})
    labels = {"photos/roll/00.png": "cat", "photos/roll/01.png": "dog", "photos/ü b/00.png": "cat"}
    tasks = [annotated(path, label) for path, label in labels.items()]
    if form == "JSON-MIN":
        tasks = [
            {"image": one["data"]["image"], "choice": label, "id": 1, "annotator": 1}
            for one, label in zip(tasks, labels.values(), strict=True)
        ]
    Path("export.json").write_text(json.dumps(tasks))
    result = import_photos("export.json", root=".", out="raw")
    assert result.classes == {"cat": 2, "dog": 1} and result.added == 3


def test_tasks_without_one_choice_are_listed(here: Path) -> None:
    write_tree("photos", {"roll": 5})
    tasks = [
        annotated("photos/roll/00.png", "cat"),
        annotated("photos/roll/01.png", "dog"),
        annotated("photos/roll/02.png"),
        annotated("photos/roll/03.png", "cat", "dog"),
        annotated("photos/roll/04.png", "cat", cancelled=True),
    ]
    Path("export.json").write_text(json.dumps(tasks))
    result = import_photos("export.json", root=".", out="raw")
    assert result.classes == {"cat": 1, "dog": 1}
    assert sorted(item.reason for item in result.rejected) == [
        "has no annotation with a choice",
        "has no annotation with a choice",
        "has several choices (cat, dog)",
    ]


def test_the_last_annotation_that_was_not_cancelled_counts(here: Path) -> None:
    write_tree("photos", {"roll": 2})
    twice = annotated("photos/roll/00.png", "cat")
    twice["annotations"] += annotated("", "dog")["annotations"]
    twice["annotations"] += annotated("", "owl", cancelled=True)["annotations"]
    Path("export.json").write_text(json.dumps([twice, annotated("photos/roll/01.png", "cat")]))
    assert import_photos("export.json", root=".", out="raw").classes == {"cat": 1, "dog": 1}
