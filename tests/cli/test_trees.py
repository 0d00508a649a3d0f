"""One reading of a tree, whatever the command: what is taken is said, what is unclear is asked."""

from pathlib import Path

import pytest

from tests.support.photos import write_tree
from tests.support.shell import Shell

PLACES = ("indoor", "outdoor")
NET = ("--arch", "4C3-G", "--image-size", "16", "--epochs", "1")
COMMANDS = [
    ("import", "{tree}", "--out", "imported"),
    ("check", "{tree}"),
    ("split", "{tree}", "--out", "parts"),
    ("merge", "indoor+outdoor=place", "{tree}", "--out", "merged"),
    ("train", "--data", "{tree}", *NET),
]


def typed(words: tuple[str, ...], tree: Path) -> list[str]:
    return [word.format(tree=tree) for word in words]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_tree_that_can_mean_two_things_is_asked_about(
    words: tuple[str, ...], here: Path, shell: Shell
) -> None:
    folders = {
        f"{animal}/{place}": 3 for animal in ("cat", "dog") for place in ("indoor", "outdoor")
    }
    tree = write_tree("tree", folders)
    code, _, err = shell(*typed(words, tree))
    assert code == 2
    assert "--classes-at 1 for the classes 'cat' and 'dog'" in err
    assert "--classes-at 2 for the classes 'indoor' and 'outdoor'" in err
    assert [path.name for path in here.iterdir() if path.name != ".imgcli"] == ["tree"]


@pytest.mark.parametrize("words", COMMANDS[:4])
def test_the_answer_is_the_same_for_every_command(
    words: tuple[str, ...], here: Path, shell: Shell
) -> None:
    folders = {
        f"{animal}/{place}": 3 for animal in ("cat", "dog") for place in ("indoor", "outdoor")
    }
    tree = write_tree("tree", folders)
    document = shell.json(*typed(words, tree), "--classes-at", "2")
    merged = {"place"} if words[0] == "merge" else {"indoor", "outdoor"}
    assert set(document["classes"]) == merged


@pytest.mark.parametrize("words", COMMANDS[1:])
def test_what_is_taken_is_said_once(words: tuple[str, ...], here: Path, shell: Shell) -> None:
    tree = write_tree(
        "tree", {f"site{n}/{place}": 4 for n in (1, 2) for place in ("indoor", "outdoor")}
    )
    if words[0] == "train":
        tree = write_tree(
            "theirs", {f"{part}/{c}": 4 for part in ("Training", "Testing") for c in "ab"}
        )
    code, _, err = shell(*typed(words, tree))
    assert code == 0
    said = "Parts, by the names" if words[0] == "train" else "Classes: 'indoor' and 'outdoor'"
    assert err.count(said) == 1


def test_parts_that_the_user_names_serve_every_command_of_a_run(here: Path, shell: Shell) -> None:
    write_tree("ex", {f"{part}/{c}": n for part, n in (("learn", 8), ("exam", 3)) for c in "ab"})
    assert shell("train", "--data", "ex", "--parts", "learn=train,exam=test", *NET).code == 0
    assert shell.json("evaluate")["n"] == 6
    assert shell.json("evaluate", "--folds", "2")["n"] == 16
    assert shell("report").code == 0


def test_other_photos_are_scored_by_the_level_that_the_user_names(here: Path, shell: Shell) -> None:
    write_tree(
        "own", {f"{part}/{c}": 6 for part in ("train", "test") for c in ("indoor", "outdoor")}
    )
    assert shell("train", "--data", "own", *NET).code == 0
    write_tree(
        "new", {f"{animal}/{c}": 2 for animal in ("cat", "dog") for c in ("indoor", "outdoor")}
    )
    code, _, err = shell("evaluate", "--data", "new")
    assert code == 2 and "--classes-at 2 for the classes 'indoor' and 'outdoor'" in err
    assert shell.json("evaluate", "--data", "new", "--classes-at", "2")["n"] == 8
    code, _, err = shell("evaluate", "--classes-at", "2")
    assert code == 2 and "name them with --data" in err


def test_folders_inside_a_part_are_of_that_part(here: Path, shell: Shell) -> None:
    write_tree(
        "sites",
        {f"{p}/{s}/{c}": 4 for p in ("train", "test") for s in ("s1", "s2") for c in ("x", "y")},
    )
    at = ("--data", "sites", "--classes-at", "3")
    assert shell("train", *at, *NET).code == 0
    assert shell.json("evaluate")["n"] == 16
    write_tree("both", {f"{part}/{c}": 4 for part in ("train", "val", "valid") for c in "xy"})
    code, _, err = shell("train", "--data", "both", *NET)
    assert code == 1 and "'val' and 'valid', which all mean val. Keep one of them" in err
