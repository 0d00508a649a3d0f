import numpy as np

from imgcli.evaluation.evaluate import evaluate
from imgcli.report.page import summary
from tests.support.predictions import photo_predictions


def said(counts: object, folds: int = 0, on: str = "train") -> str:
    found = evaluate(photo_predictions(counts, folds=folds, on=on))  # type: ignore[arg-type]
    return " ".join([summary.headline(found), *summary.verdict(found)])


def test_the_verdict_says_how_good_on_how_many_and_how_sure() -> None:
    text = said([[18, 2, 0], [0, 20, 0], [4, 0, 16]], folds=3)
    assert text.startswith("Accuracy 90.0 %: 54 of 60 held-out photos")
    assert "About 1 photo in 10 was misclassified." in text
    assert "95 % interval of the accuracy" in text and "there are few photos" in text
    assert "Accuracy over the 3 folds: 90.0 ±" in text
    assert "Lowest recall: “\u2068class_002\u2069”, 16 of 20" in text
    assert "“\u2068class_000\u2069” and “\u2068class_002\u2069”, 4 photos" in text


def test_a_score_of_the_test_part_is_called_one() -> None:
    text = said(np.diag([30, 30, 60]), on="test")
    assert text.startswith("Accuracy 100.0 %: 120 of 120 photos of the sealed test part")
    assert "misclassified" not in text and "Lowest recall" not in text
    assert "folds" not in text


def test_a_class_that_is_never_named_is_told() -> None:
    assert "1 class without a prediction, counted as 0" in said([[9, 0, 0], [5, 0, 0], [0, 0, 9]])


def test_one_photo_gets_one_sentence_that_is_true() -> None:
    text = said([[0, 1], [0, 0]])
    assert text.startswith("Accuracy 0.0 %: 0 of 1 held-out photo")
    assert "Most photos were misclassified." in text


def test_the_test_part_is_reported_with_how_often_it_was_looked_at() -> None:
    found = evaluate(photo_predictions(np.diag([5, 5]), on="test"))
    assert "100.0 % (n = 10; 95 % interval" in summary.tested(found, 1)
    assert "1 test-set evaluation so far" in summary.tested(found, 1)
    assert "3 test-set evaluations so far" in summary.tested(found, 3)
    assert "so far" not in summary.tested(found, None)


def test_repeats_are_told_by_shares_and_only_the_first_is_counted() -> None:
    counts = [[18, 2, 0], [0, 20, 0], [4, 0, 16]]
    first, second = (
        photo_predictions(c, folds=3) for c in (counts, [[20, 0, 0], [0, 20, 0], [0, 0, 20]])
    )
    found = evaluate(first, repeats=[second])
    text = " ".join([summary.headline(found), *summary.verdict(found)])
    assert text.startswith("Accuracy 95.0 % on 60 held-out photos, each predicted 2 times")
    assert "54" not in text and "About 1 photo in 20 was misclassified." in text
    assert "Accuracy over the 2 × 3 folds: 95.0 ±" in text
    assert "“\u2068class_002\u2069”, 90.0 % of 20 photos" in text
    assert "4 photos of the first repeat" in text
