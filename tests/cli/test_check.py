"""`imgcli check` and `imgcli restore` as they are typed."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.shell import imgcli
from tests.photos.test_near_duplicates import jpeg, make_photo

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: Patch) -> Path:
    """Class folders with a copy, a half-sized copy in another class, and a broken photo."""
    for number, label in enumerate(("cat", "dog")):
        (tmp_path / "raw" / label).mkdir(parents=True)
        for i in range(6):
            photo = jpeg(make_photo(10 * number + i))
            (tmp_path / "raw" / label / f"{i}.jpg").write_bytes(photo)
    (tmp_path / "raw/cat/copy\x1b[31m.jpg").write_bytes((tmp_path / "raw/cat/0.jpg").read_bytes())
    (tmp_path / "raw/dog/half.jpg").write_bytes(jpeg(make_photo(1).resize((80, 60))))
    (tmp_path / "raw/dog/<i>broken\udcff.jpg").write_bytes(b"no photo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_json_is_the_contract_and_nothing_else(
    here: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    before = names(here / "raw")
    assert imgcli(monkeypatch, "check", "raw/", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["photos"] == 14 and document["files"] == 15
    assert document["classes"] == {"cat": 7, "dog": 7}
    assert document["unreadable"] == [
        {
            "path": "dog/<i>broken\udcff.jpg",
            "stage": "identify",
            "reason": "is not a picture that imgcli reads: text",
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
    assert names(here / "raw") == before


def test_the_table_names_kinds_and_examples_and_what_to_do_next(
    here: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert imgcli(monkeypatch, "check") == 0
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


def test_the_contact_sheet_shows_what_was_found_and_escapes_names(
    here: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    assert imgcli(monkeypatch, "check", "raw", "--sheet", "new/sheet.html", "-q") == 0
    page = (here / "new/sheet.html").read_text("utf-8")
    assert page.count("<img ") == 6  # two of each pair, and the conflict again
    assert 'alt="cat/copy\\x1b[31m.jpg"' in page
    assert "&lt;i&gt;broken\\udcff.jpg" in page and "<i>" not in page
    assert "distance 0.0" in page and "the same bytes" in page
    assert "http:" not in page and "https:" not in page and 'src="data:image/' in page


def test_what_is_fixed_comes_back(here: Path, monkeypatch: Patch, capsys: Capture) -> None:
    before = names(here)
    words = ["--fix", "unreadable,duplicates", "--fix", "near_duplicates", "--json"]
    assert imgcli(monkeypatch, "check", "raw", *words) == 0
    fixed = json.loads(capsys.readouterr().out)["fixed"]
    assert {(move["path"], move["kind"]) for move in fixed["moved"]} == {
        ("cat/copy\x1b[31m.jpg", "duplicates"),
        ("dog/<i>broken\udcff.jpg", "unreadable"),
    }  # the half-sized copy has another label
    assert fixed["quarantine"].startswith("quarantine/raw-") and fixed["left"] == []
    assert imgcli(monkeypatch, "check", "raw", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["unreadable"], again["duplicates"], again["photos"]) == ([], [], 13)
    assert imgcli(monkeypatch, "restore") == 0
    assert capsys.readouterr().out == "Moved 2 photos back.\n"
    after = names(here)
    assert {n: b for n, b in after.items() if not n.startswith(".imgcli")} == before


def test_a_dry_run_moves_nothing(here: Path, monkeypatch: Patch, capsys: Capture) -> None:
    before = names(here / "raw")
    assert imgcli(monkeypatch, "check", "raw", "--fix", "conflicts", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "Would move 2 photos (2 conflicts):" in out and "  cat/1.jpg: shows what" in out
    assert names(here / "raw") == before and not (here / "quarantine").exists()


def test_where_a_place_is_taken_restore_says_so(
    here: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    imgcli(monkeypatch, "check", "--fix", "conflicts")
    (here / "raw/cat/1.jpg").write_bytes(b"mine")
    capsys.readouterr()
    assert imgcli(monkeypatch, "restore", "raw", "--json") == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["restored"] == ["raw/dog/half.jpg"]
    assert [item["path"] for item in document["left"]] == ["raw/cat/1.jpg"]
    assert "Not moved back: 'raw/cat/1.jpg' (something else lies" in captured.err
    assert (here / "raw/cat/1.jpg").read_bytes() == b"mine"


def test_without_raw_the_dataset_is_checked_and_not_fixed(
    here: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    assert imgcli(monkeypatch, "split", "raw", "-q") == 0
    (here / "raw").rename(here / "elsewhere")
    capsys.readouterr()
    assert imgcli(monkeypatch, "check", "--json") == 0
    assert json.loads(capsys.readouterr().out)["dir"] == "dataset"
    assert imgcli(monkeypatch, "check", "--fix", "duplicates") == 1
    assert "imgcli split raw --out dataset --update" in capsys.readouterr().err


def test_of_nothing_that_can_be_read_the_reasons_are_told(
    here: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    (here / "other/cat").mkdir(parents=True)
    (here / "other/cat/empty.jpg").touch()
    assert imgcli(monkeypatch, "check", "other") == 0
    out = capsys.readouterr().out
    assert out.startswith("No photo can be used.") and "cat/empty.jpg: the file is empty" in out


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
    here: Path, monkeypatch: Patch, capsys: Capture, words: list[str], code: int, sentence: str
) -> None:
    assert imgcli(monkeypatch, "check", *words) == code
    captured = capsys.readouterr()
    assert sentence in captured.err and captured.err.count("\n") == 1
    assert captured.out == ""


def test_photos_that_all_look_good_are_said_to(
    here: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    for name in ("cat/copy\x1b[31m.jpg", "dog/half.jpg", "dog/<i>broken\udcff.jpg"):
        (here / "raw" / name).unlink()
    Image.new("RGB", (1, 1)).save(here / "raw/.hidden.png")
    assert imgcli(monkeypatch, "check", "raw") == 0
    assert "No problems found." in capsys.readouterr().out
    assert "No problems found." in (here / ".imgcli/check/contact.html").read_text()
