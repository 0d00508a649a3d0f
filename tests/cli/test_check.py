"""`imgcli check` and `imgcli restore` as they are typed."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.support.photos import jpeg, make_photo, write_cats_and_dogs, write_classes
from tests.support.shell import Shell, imgcli
from tests.support.trees import files_of

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(here: Path) -> Path:
    """Class folders with a copy, a half-sized copy in another class, and a broken photo."""
    write_cats_and_dogs(here / "raw")
    (here / "raw/cat/copy\x1b[31m.jpg").write_bytes((here / "raw/cat/0.jpg").read_bytes())
    (here / "raw/dog/half.jpg").write_bytes(jpeg(make_photo(1).resize((80, 60))))
    (here / "raw/dog/<i>broken\udcff.jpg").write_bytes(b"no photo")
    return here


def test_json_is_the_contract_and_nothing_else(here: Path, shell: Shell) -> None:
    before = files_of(here / "raw")
    document = shell.json("check", "raw/")
    assert document["photos"] == 14 and document["files"] == 15
    assert document["classes"] == {"cat": 7, "dog": 7}
    assert document["unreadable"] == [
        {
            "path": "dog/<i>broken\udcff.jpg",
            "stage": "identify",
            "reason": "is not a picture that imgcli reads: a text by its content",
        }
    ]
    assert document["duplicates"] == [["cat/0.jpg", "cat/copy\x1b[31m.jpg"]]
    assert document["near_duplicates"] == [["cat/1.jpg", "dog/half.jpg"]]
    ((first, second),) = document["distances"]
    assert first == 0 and 0 < second < 0.28
    assert document["conflicts"] == [
        {"kind": "classes", "paths": ["cat/1.jpg", "dog/half.jpg"], "classes": ["cat", "dog"]}
    ]
    assert document["issues"] == [] and "fixed" not in document
    assert document["sheet"] == ".imgcli/check/contact.html"
    assert files_of(here / "raw") == before


def test_the_table_names_kinds_and_examples_and_what_to_do_next(
    here: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert imgcli("check") == 0
    out = capsys.readouterr().out
    assert out.startswith("14 photos of 2 classes, 7–7 in each, median 7.\n")
    for line in (
        "exact duplicates, 1 group",
        "near-duplicates, 1 group",
        "same photo, two classes, 1 group",
        "(distance 0.0",
        "copy\\x1b[31m.jpg",
        "Contact sheet: .imgcli/check/contact.html",
        "Next: imgcli split raw",
    ):
        assert line in out
    assert "\x1b" not in out


def test_the_contact_sheet_shows_what_was_found_and_escapes_names(here: Path) -> None:
    assert imgcli("check", "raw", "--sheet", "new/sheet.html", "-q") == 0
    page = (here / "new/sheet.html").read_text("utf-8")
    assert page.count("<img ") == 6  # two of each pair, and the conflict again
    assert 'alt="cat/copy\\x1b[31m.jpg"' in page
    assert "&lt;i&gt;broken\\udcff.jpg" in page and "<i>" not in page
    assert "distance 0.0" in page and "the same bytes" in page
    assert "http:" not in page and "https:" not in page and 'src="data:image/' in page


def test_what_is_fixed_comes_back(here: Path, capsys: Capture, shell: Shell) -> None:
    before = files_of(here)
    words = ["--fix", "unreadable,duplicates", "--fix", "near_duplicates", "--json"]
    assert imgcli("check", "raw", *words) == 0
    fixed = json.loads(capsys.readouterr().out)["fixed"]
    assert {(move["path"], move["kind"]) for move in fixed["moved"]} == {
        ("cat/copy\x1b[31m.jpg", "duplicates"),
        ("dog/<i>broken\udcff.jpg", "unreadable"),
    }  # the half-sized copy has another label
    assert fixed["quarantine"].startswith("quarantine/raw-") and fixed["left"] == []
    again = shell.json("check", "raw")
    assert (again["unreadable"], again["duplicates"], again["photos"]) == ([], [], 13)
    assert imgcli("restore") == 0
    assert capsys.readouterr().out == "Moved 2 photos back.\n"
    after = files_of(here)
    assert {n: b for n, b in after.items() if not n.startswith(".imgcli")} == before


def test_a_dry_run_moves_nothing(here: Path, capsys: Capture) -> None:
    before = files_of(here / "raw")
    assert imgcli("check", "raw", "--fix", "conflicts", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "Would move 2 photos (2 conflicts):" in out and "  cat/1.jpg: shows what" in out
    assert files_of(here / "raw") == before and not (here / "quarantine").exists()


def test_where_a_place_is_taken_restore_says_so(here: Path, capsys: Capture) -> None:
    imgcli("check", "--fix", "conflicts")
    (here / "raw/cat/1.jpg").write_bytes(b"mine")
    capsys.readouterr()
    assert imgcli("restore", "raw", "--json") == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["restored"] == ["raw/dog/half.jpg"]
    assert [item["path"] for item in document["left"]] == ["raw/cat/1.jpg"]
    assert "Not moved back: 'raw/cat/1.jpg' (something else lies" in captured.err
    assert (here / "raw/cat/1.jpg").read_bytes() == b"mine"


def test_without_raw_the_dataset_is_checked_and_not_fixed(
    here: Path, capsys: Capture, shell: Shell
) -> None:
    assert imgcli("split", "raw", "-q") == 0
    (here / "raw").rename(here / "elsewhere")
    capsys.readouterr()
    assert shell.json("check")["dir"] == "dataset"
    assert imgcli("check", "--fix", "duplicates") == 1
    assert "imgcli split raw --out dataset --update" in capsys.readouterr().err


def test_of_nothing_that_can_be_read_the_reasons_are_told(here: Path, capsys: Capture) -> None:
    (here / "other/cat").mkdir(parents=True)
    (here / "other/cat/empty.jpg").touch()
    assert imgcli("check", "other") == 0
    out = capsys.readouterr().out
    assert out.startswith("No photo can be used.") and "cat/empty.jpg: an empty file" in out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nowhere"], 1, "No folder 'nowhere'."),
        (["raw", "--fix", "ugly"], 2, "--fix ugly is not a kind; there are unreadable,"),
        (["raw", "--dry-run"], 2, "--dry-run goes with --fix"),
        (["raw/cat"], 1, "but no class folders"),
    ],
)
def test_bad_input_gets_one_sentence(
    here: Path, capsys: Capture, words: list[str], code: int, sentence: str
) -> None:
    assert imgcli("check", *words) == code
    captured = capsys.readouterr()
    assert sentence in captured.err and captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_folder_without_problems_is_said_to_have_none(here: Path, capsys: Capture) -> None:
    for name in ("cat/copy\x1b[31m.jpg", "dog/half.jpg", "dog/<i>broken\udcff.jpg"):
        (here / "raw" / name).unlink()
    Image.new("RGB", (1, 1)).save(here / "raw/.hidden.png")
    assert imgcli("check", "raw") == 0
    assert "No problems found." in capsys.readouterr().out
    assert "No problems found." in (here / ".imgcli/check/contact.html").read_text()


def test_each_reason_of_files_that_are_no_photos_has_its_row(here: Path, capsys: Capture) -> None:
    write_classes(here / "p", per_class=3)
    lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    for name, text in (("a.jpg", lfs), ("b.jpg", lfs), ("c.jpg", "<html>"), ("d.jpg", "")):
        (here / "p/red" / name).write_text(text)
    (here / "p/red/.IMG_1.jpg.icloud").write_bytes(b"bplist00")
    (here / "p/red/e.jpg").symlink_to("../../.git/annex/objects/a/b/e.jpg")
    assert imgcli("check", "p") == 0
    out = " ".join(capsys.readouterr().out.split())
    for said in ("2 red/a.jpg:", "git lfs pull", "1 red/c.jpg:", "an HTML page", "an empty file"):
        assert said in out
    assert "a placeholder of iCloud" in out and "`git annex get`" in out


def test_a_clone_without_git_lfs_is_named_by_every_command(here: Path, shell: Shell) -> None:
    lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:{:064d}\nsize 1\n"
    for i, folder in enumerate(("p/a", "p/b", "t/train/a", "t/train/b", "t/test/a", "t/test/b")):
        for k in range(3):
            (here / folder).mkdir(parents=True, exist_ok=True)
            (here / folder / f"{k}.jpg").write_text(lfs.format(10 * i + k))
    for words in (
        ("import", "p", "--out", "r"),
        ("split", "p", "--out", "ds"),
        ("train", "--data", "t", "--arch", "8C5-P2-16"),
    ):
        code, _, err = shell(*words)
        assert code == 1 and "run `git lfs pull`" in err, words
    code, out, _ = shell("check", "p")
    assert code == 0 and "git lfs pull" in " ".join(out.split()) and "Next:" not in out
