"""`imgcli review` as it is typed: a page until Ctrl-C, and what was decided there."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import imgcli.review
from imgcli.commands.restore import restore
from tests.support.pages import ended, typed
from tests.support.runs import WRONG, run_with_a_wrong_label
from tests.support.shell import Shell
from tests.support.trees import file_states


def test_decisions_are_carried_out_at_once_and_told_in_the_end(here: Path) -> None:
    run_with_a_wrong_label(here)
    before = file_states(here / "raw")
    with typed("review") as running:
        page = running.page
        (item,) = page.items("labels")
        assert item["suggested"] == "is:red" and item["photos"][0]["name"] == WRONG
        assert page.decide("labels", item["id"], choice="is:red")["refused"] == []
        moved = set(before) - set(file_states(here / "raw"))
        assert moved == {WRONG}
        out = ended(running.process)
    assert "1 decision: labels 1.\n1 photo moved. To undo: imgcli restore " in out
    assert "Next: imgcli split" in out
    assert restore("raw").restored == (f"raw/{WRONG}",)
    assert file_states(here / "raw") == before


def test_its_document_says_what_was_decided_and_what_is_left(here: Path) -> None:
    run_with_a_wrong_label(here)
    with typed("review", "labels", "--json") as running:
        (item,) = running.page.items("labels")
        running.page.decide("labels", item["id"], choice="keep")
        document: dict[str, Any] = json.loads(ended(running.process))
    assert document["decided"] == {"labels": 1} and document["left"] == {"labels": 0}
    assert document["moved"] == 0 and document["folder"] is None and document["plan"] is None
    with typed("review", "labels") as running:
        assert running.page.items("labels") == []
        assert ended(running.process) == "Nothing was decided.\n"


def test_a_killed_page_has_lost_nothing_that_was_decided(here: Path) -> None:
    run_with_a_wrong_label(here)
    before = file_states(here / "raw")
    with typed("review") as running:
        (item,) = running.page.items("labels")
        running.page.decide("labels", item["id"], choice="quarantine")
        running.process.kill()
        running.process.wait()
    assert not (here / "raw" / WRONG).exists()
    restore("raw")
    assert file_states(here / "raw") == before


def test_without_a_run_the_duplicates_are_shown_and_the_rest_is_named(here: Path) -> None:
    from tests.support.photos import write_tree

    write_tree("raw", {"cat": 3, "dog": 3})
    with typed("review") as running:
        assert running.page.get("/").url.endswith("/duplicates")
        assert any("Left out:" in line and "imgcli train" in line for line in running.notes)
        ended(running.process)


@pytest.mark.parametrize("words", [("labels",), ("merges",), ("predictions",)])
def test_what_there_is_nothing_for_is_one_sentence(
    here: Path, shell: Shell, words: tuple[str, ...]
) -> None:
    typed = shell("review", *words, "--no-browser")
    assert typed.code == 1 and typed.err.startswith("imgcli: ") and "imgcli train" in typed.err


def test_without_its_server_it_says_what_to_install(
    here: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    monkeypatch.delitem(sys.modules, "imgcli.review.server", raising=False)
    with suppress(AttributeError):
        monkeypatch.delattr(imgcli.review, "server")
    assert "pip install 'imgcli[review]'" in shell("review").err
