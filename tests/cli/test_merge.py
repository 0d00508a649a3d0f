"""`imgcli merge` as it is typed."""

import json
from pathlib import Path

import pytest

from tests.support.photos import write_classes
from tests.support.shell import Shell, imgcli


@pytest.fixture(autouse=True)
def raw(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    write_classes(here / "raw", per_class=2)


def test_merges_come_first_and_the_folder_anywhere(
    capsys: pytest.CaptureFixture[str], shell: Shell
) -> None:
    assert imgcli("merge", "blue+red=purple", "raw", "--out", "out") == 0
    printed = capsys.readouterr().out
    assert "blue + red → purple (4 photos)" in printed
    assert "6 photos in 2 classes in out." in printed and "Next: imgcli split out" in printed
    document = shell.json("merge", "raw", "blue+red")
    assert document["out"] == "raw-merged" and document["classes"] == {"blue+red": 4, "green": 2}
    assert document["merges"] == [{"classes": ["blue", "red"], "name": "blue+red"}]


def test_a_folder_with_such_a_name_is_no_merge(tmp_path: Path) -> None:
    write_classes(tmp_path / "a+b=c", per_class=1)
    assert imgcli("merge", "a+b=c", "red+blue=x") == 0
    assert (tmp_path / "a+b=c-merged/x").is_dir()


def test_a_plan_knows_its_folder_and_can_be_undone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_classes(tmp_path / "dataset", per_class=1, classes=2)
    plan = {"merges": [{"classes": ["red", "blue"], "name": "x"}], "data": "raw"}
    Path("merges.json").write_text(json.dumps(plan))
    assert imgcli("merge", "--plan", "merges.json") == 0
    assert imgcli("merge", "--undo", "raw-merged", "--out", "back") == 0
    assert "x → red + blue" in capsys.readouterr().out
    names = [
        sorted(str(p.relative_to(r)) for p in r.rglob("*")) for r in map(Path, ("raw", "back"))
    ]
    assert names[0] == names[1]


def test_the_same_merge_again_is_said_to_be_there_and_prints_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merge, undo = ["blue+red=x", "raw", "--json"], ["--undo", "raw-merged", "--json"]
    for words in (merge, undo):
        assert imgcli("merge", *words) == 0
        first = capsys.readouterr()
        assert imgcli("merge", *words) == 0
        again = capsys.readouterr()
        assert again.out == first.out and "is this very tree already" in again.err
    assert imgcli("merge", "blue+green=x", "raw") == 1
    assert "'raw-merged' exists" in capsys.readouterr().err
    photo = tmp_path / "raw-merged/green/00.png"
    photo.unlink()
    photo.write_bytes(b"edited")
    assert imgcli("merge", *merge) == 1
    assert imgcli("merge", *merge, "--force") == 0
    (aside,) = tmp_path.glob("raw-merged.replaced-*")
    assert (aside / "green/00.png").read_bytes() == b"edited"
    assert aside.name in capsys.readouterr().err
    assert imgcli("merge", *merge, "--force") == 0
    assert list(tmp_path.glob("raw-merged.replaced-*")) == [aside]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "Name what to merge"),
        (["raw"], 2, "Name what to merge"),
        (["blue+red=x", "raw", "nowhere"], 2, "only one folder can be named"),
        (["blue+red=x", "nowhere"], 1, "No folder 'nowhere'"),
        (["blue+rde=x"], 1, "No class 'rde'. Did you mean 'red'?"),
        (["blue+red=green"], 1, "'green' is the name of another class"),
        (["blue+red=x", "--undo"], 2, "--undo takes all merges back"),
        (["blue+red=x", "--plan", "p.json"], 2, "give the one or the other"),
        (["--plan", "p.json"], 1, "There is no plan 'p.json'"),
        (["--undo", "raw"], 1, "was not made by `imgcli merge`"),
        (["blue+red=x", "raw", "--out", "raw"], 1, "lie in one another"),
    ],
)
def test_bad_input_gets_a_sentence_and_a_code(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imgcli("merge", *words) == code
    captured = capsys.readouterr()
    assert said in captured.err and captured.out == ""
