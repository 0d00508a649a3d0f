"""`imgcli import` as it is typed, through `main()`."""

import json
import os
from pathlib import Path

import pytest

from tests.support.photos import photo
from tests.support.shell import Shell
from tests.support.trees import TWO_CLASSES, make_tree, make_zip, tree

pytestmark = pytest.mark.usefixtures("here")


def test_photos_go_to_raw_and_the_next_command_is_named(shell: Shell) -> None:
    make_zip(Path("photos.zip"), TWO_CLASSES)
    code, out, err = shell("import", "photos.zip")
    assert (code, err) == (0, "")
    assert tree(Path("raw")) == TWO_CLASSES
    assert [line.split() for line in out.splitlines() if line.startswith((" a ", " b "))] == [
        ["a", "2"],
        ["b", "2"],
    ]
    assert "Added 4 photos to raw, rejected 0 files.\n" in out
    assert out.endswith("Next: imgcli split raw\n")


def test_json_is_one_document_with_the_agreed_keys(shell: Shell) -> None:
    make_tree(Path("src"), {**TWO_CLASSES, "a/3.png": photo(1), "b/x\udcff.png": b"<html>"})
    make_tree(Path("src"), {"b/3.png": photo(1)})
    code, out, err = shell("import", "src", "--out", "my raw", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "out": "my raw",
        "added": 5,
        "skipped": 1,
        "duplicates": [["src/a/3.png", "a/1.png"]],
        "rejected": [{"path": "src/b/x\udcff.png", "reason": "an HTML page"}],
        "classes": {"a": 2, "b": 3},
        "conflicts": [["a/1.png", "b/3.png"]],
    }


def test_duplicates_in_the_source_are_told_from_photos_that_were_there(shell: Shell) -> None:
    make_tree(Path("src"), {**TWO_CLASSES, "a/x.png": photo(1), "a/y.png": photo(1)})
    _, out, _ = shell("import", "src")
    assert "2 exact duplicates in the source, taken once:\n  src/a/x.png = raw/a/1.png" in out
    assert "already in" not in out
    make_tree(Path("src"), {"b/new.png": photo(300), "b/twin.png": photo(300)})
    _, out, _ = shell("import", "src")
    assert "Added 1 photo to raw" in out
    assert "Skipped 6 photos, already in raw byte for byte." in out
    assert "1 exact duplicate in the source, taken once:\n  src/b/twin.png = raw/b/new.png" in out


def test_names_cannot_command_the_terminal(shell: Shell) -> None:
    make_tree(Path("src"), {"[red]a/1.png": photo(1), "b/\x1b[2J\n.png": b"", "b/1.png": photo(1)})
    code, out, _ = shell("import", "src", "--out", "x y")
    assert code == 0
    assert "\x1b[2J" not in out
    assert "src/b/\\x1b[2J\\n.png: an empty file" in out
    assert " [red]a " in out
    assert "1 photo is in several classes, byte for byte:\n  [red]a/1.png = b/1.png" in out
    assert "Next: imgcli split 'x y'" in out


def test_only_the_first_rejected_are_shown(shell: Shell) -> None:
    make_tree(Path("src"), {**TWO_CLASSES, **{f"a/{n}.txt": b"text" for n in range(10, 25)}})
    _, out, _ = shell("import", "src")
    assert out.count("a text by its content") == 10
    assert "and 5 more; --json lists all" in out


def test_one_class_is_taken_and_noted(shell: Shell) -> None:
    make_tree(Path("src"), {"a/1.png": photo(1)})
    code, out, _ = shell("import", "src")
    assert code == 0
    assert "One class only: import others before you split." in out


def test_what_is_in_the_way_needs_force(shell: Shell) -> None:
    make_tree(Path("src"), TWO_CLASSES)
    make_tree(Path("raw"), {"mine.png": photo(9)})
    code, out, err = shell("import", "src")
    assert (code, out) == (1, "")
    assert "'raw' exists and was not made by imgcli. Choose another --out" in err
    assert shell("import", "src", "--force")[0] == 0
    assert tree(Path("raw")) == TWO_CLASSES
    (aside,) = Path().glob("raw.replaced-*")
    assert tree(aside) == {"mine.png": photo(9)}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["gone"], 1, "There is no 'gone'."),
        (["flat"], 1, "'flat' holds photos but no class folders. Expected is one folder per class"),
        (["empty"], 1, "No photos in 'empty'. Expected is one folder per class, such as photos/"),
        (["none.csv"], 1, "from 'none.csv'. Rejected: 1, such as none.csv:2: names no photo."),
        (["flat/1.png"], 1, "'flat/1.png' is neither a folder nor a zip or tar"),
        (["parts"], 2, "'parts' looks like a dataset that is already split into test, train."),
        (["parts/train", "--out", "parts/train/raw"], 2, "--out 'parts/train/raw' is inside"),
        ([], 2, "Missing argument"),
    ],
)
def test_bad_input_is_a_sentence(shell: Shell, words: list[str], code: int, sentence: str) -> None:  # type: ignore[no-untyped-def]
    make_tree(Path("flat"), {"1.png": photo(1)})
    make_tree(Path("parts"), {"train/a/1.png": photo(1), "test/a/2.png": photo(2)})
    Path("empty").mkdir()
    Path("none.csv").write_text("path,label\n,crab\n")
    got, out, err = shell("import", *words)
    assert (got, out) == (code, "")
    assert sentence in err
    assert "Traceback" not in err and "\\n" not in err
    assert not Path("raw").exists()


def test_a_split_is_kept_and_goes_to_the_dataset(shell: Shell) -> None:
    make_tree(Path("src"), {"train/a/1.png": photo(1), "test/a/2.png": photo(2)})
    make_tree(Path("src"), {"train/b/3.png": photo(3)})
    code, out, err = shell("import", "src", "--keep-split")
    assert (code, err) == (0, "")
    assert "Split of the source: 2 train, 1 test." in out
    assert out.endswith("Next: imgcli train --freeze\n")
    assert set(tree(Path("dataset"))) == {"train/a/1.png", "test/a/2.png", "train/b/3.png"}
    document = json.loads(shell("import", "src", "--keep-split", "--json")[1])
    assert document["parts"] == {"train": 2, "test": 1}
    assert (document["out"], document["skipped"]) == ("dataset", 3)


def test_classes_are_renamed_chosen_and_limited(shell: Shell) -> None:
    many = {
        f"{label}_{n}.png": photo(n + 50 * k) for k, label in enumerate("abc") for n in range(9)
    }
    make_tree(Path("src"), many)
    words = ["--label-from", "(.)_", "--rename", "a=cat", "--rename", "x=y", "--limit", "4"]
    code, out, err = shell("import", "src", *words, "--only", "cat,b", "--json")
    assert code == 0
    assert json.loads(out)["classes"] == {"b": 4, "cat": 4}
    assert err == "--rename: no class is called 'x'; the sources have 'a', 'b' and 'c'.\n"
    again = shell(
        "import", "src", *words, "--only", "cat,b", "--seed", "0", "--out", "again", "--json"
    )[1]
    assert json.loads(again)["added"] == 8
    assert tree(Path("again")) == tree(Path("raw"))


def test_a_conflict_says_what_settles_it(shell: Shell) -> None:
    make_tree(Path("src"), {"a/1.png": photo(1), "b/1.png": photo(1), "b/2.png": photo(2)})
    assert (
        "Resolve them with --on-conflict first or skip, and --force." in shell("import", "src")[1]
    )
    assert shell("import", "src", "--on-conflict", "skip", "--force")[0] == 0
    assert set(tree(Path("raw"))) == {"b/2.png"}
    code, _, err = shell("import", "src", "--on-conflict", "error", "--out", "other")
    assert (code, Path("other").exists()) == (1, False)
    assert "1 photo is of two classes, such as 'src/a/1.png' (a) = 'src/b/1.png' (b)." in err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            ["src", "--only", "z"],
            1,
            "--only: no class is called 'z'; the sources have 'a' and 'b'.",
        ),
        (["src", "--limit", "0"], 2, "--limit 0 takes no photo."),
        (["src", "--rename", "ab"], 2, "--rename 'ab' is neither old=new nor"),
        (
            ["src", "--label-from", "x(9)"],
            2,
            "--label-from 'x(9)' matches no path in 'src' such as",
        ),
        (["src", "--keep-split"], 2, "--keep-split: 'src' holds class folders without train"),
        (["src", "--on-conflict", "maybe"], 2, "Invalid value for '--on-conflict'"),
        (["flat"], 1, "Where the file names hold the classes, say how: --label-from '([a-z]+)_'"),
        (
            ["urls.csv"],
            1,
            "import touches no network. Fetch them with: imgcli scrape urls urls.csv",
        ),
        (["*.tar"], 1, "Nothing matches '*.tar'."),
    ],
)
def test_choices_that_cannot_serve_are_a_sentence(  # type: ignore[no-untyped-def]
    shell: Shell, words: list[str], code: int, sentence: str
) -> None:
    make_tree(Path("src"), TWO_CLASSES)
    make_tree(Path("flat"), {"1.png": photo(1)})
    Path("urls.csv").write_text("url,label\nhttps://example.org/1.jpg,a\n")
    got, out, err = shell("import", *words)
    assert (got, out) == (code, "")
    assert sentence in err
    assert not Path("raw").exists()


def test_the_help_fits_a_screen_and_shows_the_examples_as_typed(shell: Shell) -> None:
    _, out, _ = shell("import", "--help")
    assert len(out.splitlines()) <= 75
    assert "imgcli import scans/ --label-from '(.+)_'" in out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_a_sentence(shell: Shell) -> None:
    make_tree(Path("src"), TWO_CLASSES)
    Path("locked").mkdir(mode=0o500)
    code, _, err = shell("import", "src", "--out", "locked/raw")
    assert code == 1
    assert "No permission to use" in err


def test_a_full_disk_is_a_sentence_and_a_rerun_completes(shell: Shell) -> None:
    import resource

    make_tree(Path("src"), {**TWO_CLASSES, "b/large.png": photo(9) + bytes(100_000)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))  # stands in for the full disk
    try:
        code, _, err = shell("import", "src")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 1
    assert "larger than a file may be here" in err
    assert tree(Path("raw")) == TWO_CLASSES
    assert shell("import", "src")[0] == 0
    assert len(tree(Path("raw"))) == 5


def test_newer_and_older_formats_go_all_the_way_to_a_dataset(shell: Shell) -> None:
    files = {
        f"src/{label}/{number}.{suffix}": photo(100 * k + 17 * number, name)
        for k, label in enumerate(("a", "b"))
        for number, (suffix, name) in enumerate(
            [("ppm", "PPM"), ("pgm", "PPM"), ("avif", "AVIF"), ("jpg", "AVIF"), ("AVIF", "AVIF")]
        )
    }
    make_tree(Path("."), files)
    code, out, _ = shell("import", "src")
    assert code == 0 and "Added 10 photos" in out and "rejected 0 files" in out
    code, out, _ = shell("check", "raw", "--json")
    found = json.loads(out)
    assert (found["photos"], found["unreadable"]) == (10, [])
    named = [issue["detail"] for issue in found["issues"] if issue["kind"] == "extension"]
    assert named == ["named .jpg, but it is AVIF"] * 2
    code, out, _ = shell("split", "raw", "--json")
    assert code == 0 and json.loads(out)["rejected"] == []
