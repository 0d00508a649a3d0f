"""What runs print of their learning curve."""

from imgcli.report.terminal.runs import learning_curve
from tests.support.reports import piped


def test_of_a_class_of_few_photos_nothing_is_expected() -> None:
    point = {"photos": 10.0, "accuracy": 0.8, "ci95": [0.7, 0.9]}
    expected = {"accuracy": 0.9, "ci95": [0.8, 1.0], "gain": 0.1, "gain_ci95": [0.0, 0.2]}
    rows = [
        {"class": "many", "n": 40, "recall": [0.5, 0.8], **expected},
        {"class": "few", "n": 3, "recall": [1.0, 1.0], **expected, "gain_ci95": [0.0, 0.0]},
    ]
    document = {"points": [point], "times": 2.0, "expected": expected, "per_class": rows}
    text = piped(*learning_curve(document), width=100)
    assert "+0.0 to +20.0" in text and "+0.0 to +0.0" not in text
    assert "too few photos" in text
