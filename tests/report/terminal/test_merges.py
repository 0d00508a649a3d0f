"""Merge suggestions as they are printed."""

from pathlib import Path

from imgcli.records import MergeSuggestion
from imgcli.report.terminal.merges import MAX_PAIRS, confused, splits, suggestions
from tests.support.reports import piped

EVIDENCE = {
    "gain_beyond_chance": 0.012,
    "macro_precision": 0.93,
    "macro_precision_after": 0.95,
    "bits_lost": {"label": 0.05, "told": -0.001},
    "examples": [
        {"path": f"train/a/{i}.jpg", "class": "a", "called": "b", "confidence": 0.5, "twin": twin}
        for i, twin in enumerate([None, None, None, None, "train/b/9.jpg"])
    ],
}


def printed(found: list[MergeSuggestion]) -> str:
    return piped(*suggestions(found, 0.9, Path("runs/x y/merges.json")), width=200)


def test_a_suggestion_says_what_it_does_costs_and_where_to_look() -> None:
    again = {"accuracy": 0.97, "gain": 0.07, "macro_precision": 0.96}
    one = MergeSuggestion(
        ("a", "b"), "same", 0.9, {**EVIDENCE, "retrained": again}, 0.92, 80, "So."
    )
    text = printed([one])
    assert "a + b" in text and "same · 80 photos" in text
    assert "if merged: accuracy 90.0 → 92.0 %, macro precision" in text
    assert "retrained: accuracy 97.0 %, macro precision 96.0 %" in text
    assert text.index("4.jpg, predicted as b; near-duplicate: train/b/9.jpg") < text.index(
        "0.jpg, predicted as b"
    )
    assert "train/a/3.jpg" not in text  # four photos at most
    assert "imgcli merge --plan 'runs/x y/merges.json'" in text


def test_without_training_again_nothing_is_said_of_it_and_names_do_no_harm() -> None:
    odd = MergeSuggestion(("a\x1b[2J", "[bold]"), "same", 0.9, EVIDENCE, 0.92, 80, "So.")
    text = printed([odd])
    assert "retrained" not in text
    assert "a\\x1b[2J + [bold]" in text


def test_no_suggestion_is_a_sentence_without_a_command() -> None:
    text = printed([])
    assert "No merges suggested" in text and "imgcli merge" not in text


def test_a_class_that_may_be_two_shows_photos_of_each_and_names_do_no_harm() -> None:
    examples = [["train/a/1.jpg", "train/a/2.jpg"], ["train/a/[bold]\x1b.jpg"]]
    split = {"class": "a[i]", "parts": [30, 12], "examples": examples, "reason": "So."}
    text = piped(*splits([split]), width=200)
    assert "Classes that may be two" in text and "a[i]" in text and "So." in text
    assert "30 photos like train/a/1.jpg, train/a/2.jpg" in text
    assert "12 photos like train/a/[bold]\\x1b.jpg" in text
    assert "imgcli split" in text
    assert splits([]) == []


def test_hard_pairs_are_listed_with_what_would_help() -> None:
    pairs = [{"classes": ["a", f"b{i}"], "reason": f"Reason {i}."} for i in range(MAX_PAIRS + 2)]
    text = piped(*confused(pairs), width=200)
    assert "Most confused classes that are no merge" in text and "a + b0" in text
    assert "Reason 4." in text and "Reason 5." not in text and "The worst 5 of 7." in text
    assert "imgcli choose" in text
    assert confused([]) == []
