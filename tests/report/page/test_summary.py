import numpy as np

from imgcli.evaluation.evaluate import evaluate
from imgcli.report.page import summary
from tests.report.report_runs import predictions


def said(counts: object, folds: int = 0, on: str = "train") -> str:
    found = evaluate(predictions(counts, folds=folds, on=on))  # type: ignore[arg-type]
    return " ".join([summary.headline(found), *summary.verdict(found)])


def test_the_verdict_says_how_good_on_how_many_and_how_sure() -> None:
    text = said([[18, 2, 0], [0, 20, 0], [4, 0, 16]], folds=3)
    assert text.startswith("90.0 % right: 54 of 60 photos it had not learnt from")
    assert "About 1 photo in 10 was called something else." in text
    assert "On other photos of the same kind expect" in text and "there are few photos" in text
    assert "Over the 3 folds it was 90.0 ±" in text
    assert "“\u2068class_002\u2069”: 16 of 20 were recognised" in text
    assert "mixes up “\u2068class_000\u2069” and “\u2068class_002\u2069” most, in 4 photos" in text


def test_a_score_of_the_test_part_is_called_one() -> None:
    text = said(np.diag([30, 30, 60]), on="test")
    assert text.startswith("100.0 % right: 120 of 120 photos of the sealed test part")
    assert "called something else" not in text and "most trouble" not in text
    assert "folds" not in text


def test_a_class_that_is_never_named_is_told() -> None:
    assert "1 class it never named, which counts as 0" in said([[9, 0, 0], [5, 0, 0], [0, 0, 9]])


def test_one_photo_gets_one_sentence_that_is_true() -> None:
    text = said([[0, 1], [0, 0]])
    assert text.startswith("0.0 % right: 0 of 1 photo it had not learnt from")
    assert "Most were called something else." in text


def test_the_test_part_is_reported_with_how_often_it_was_looked_at() -> None:
    found = evaluate(predictions(np.diag([5, 5]), on="test"))
    assert "evaluated once so far, it got 100.0 % of 10 photos right" in summary.tested(found, 1)
    assert "evaluated 3 times so far" in summary.tested(found, 3)
    assert "looked" not in summary.tested(found, None)


def test_repeats_are_told_by_shares_and_only_the_first_is_counted() -> None:
    counts = [[18, 2, 0], [0, 20, 0], [4, 0, 16]]
    first, second = (
        predictions(c, folds=3) for c in (counts, [[20, 0, 0], [0, 20, 0], [0, 0, 20]])
    )
    found = evaluate(first, again=[second])
    text = " ".join([summary.headline(found), *summary.verdict(found)])
    assert text.startswith("95.0 % right of 60 photos it had not learnt from, each asked 2 times")
    assert "54" not in text and "About 1 photo in 20 was called something else." in text
    assert "Over the 2 × 3 folds it was 95.0 ±" in text
    assert "“\u2068class_002\u2069”: 90.0 % of 20 photos were recognised" in text
    assert "most, in 4 photos of the first repeat" in text
