from itertools import combinations

import numpy as np
import pytest
from matplotlib.text import Text

from imgcli.evaluation.metrics import confusion_matrix
from imgcli.records import Predictions
from imgcli.report.plots.class_map import class_map, distances
from imgcli.report.projection import places_by_distance
from tests.support.figures import boxes, drawn
from tests.support.predictions import photo_predictions


def blocks(pairs: int) -> Predictions:
    """Classes 0 and 1, 2 and 3, … are mixed up with each other and with nothing else."""
    return photo_predictions(np.kron(np.eye(pairs, dtype=int), [[12, 8], [7, 13]]))


def drawing(said: Predictions):  # type: ignore[no-untyped-def]
    return class_map(said, confusion_matrix(said.targets, said.preds, len(said.classes)))


def test_distance_is_nothing_for_classes_that_look_alike_and_one_for_those_that_share_nothing() -> (
    None
):
    sure = photo_predictions(np.diag([3, 3, 3]))
    probs = np.array([[0.5, 0.5, 0]] * 6 + [[0, 0, 1.0]] * 3)
    far = distances(Predictions(**{**vars(sure), "probs": probs}))
    assert far == pytest.approx(np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]]), abs=1e-9)


def test_classes_that_are_mixed_up_lie_beside_each_other() -> None:
    said = blocks(6)
    points = places_by_distance(distances(said))
    far = np.linalg.norm(points[:, None] - points[None], axis=2) + 9 * np.eye(12)
    assert far.argmin(axis=1).tolist() == [i ^ 1 for i in range(12)]
    assert points.min() == 0 and points.max() == 1


def test_no_class_is_thrown_far_off_all_others() -> None:
    rng = np.random.default_rng(2)
    confusion = np.diag(rng.integers(40, 90, 30))
    confusion[0, 1] = confusion[1, 0] = 6
    confusion[2:, 2:] += (rng.random((28, 28)) < 0.12) * rng.integers(1, 4, (28, 28))
    points = places_by_distance(distances(photo_predictions(confusion)))
    off = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    assert off.max() < 4 * np.median(off)


def test_names_stay_off_the_lines_where_there_is_room() -> None:
    figure = drawing(blocks(3))
    axes = drawn(figure).axes[0]
    lines = axes.collections[0].get_segments()
    assert len(lines) == 3
    for box in boxes([text for text in axes.texts if text.get_text().startswith("class_")]):
        corners = axes.transData.inverted().transform([[box.x0, box.y0], [box.x1, box.y1]])
        for ends in lines:
            along = ends[0] + np.linspace(0, 1, 200)[:, None] * (ends[1] - ends[0])
            assert not ((corners[0] < along) & (along < corners[1])).all(axis=1).any()


def test_the_map_is_the_same_each_time() -> None:
    far = distances(blocks(4))
    assert np.array_equal(places_by_distance(far), places_by_distance(far))


@pytest.mark.parametrize("k", [3, 4, 30, 100])
def test_names_on_the_map_never_overlap(k: int) -> None:
    rng = np.random.default_rng(k)
    counts = np.diag(rng.integers(5, 9, k)) + rng.integers(0, 20, (k, k)) // 19
    figure = drawing(photo_predictions(counts, [f"a_rather_long_name_{i}" for i in range(k)]))
    names = [text for text in drawn(figure).axes[0].texts if isinstance(text, Text)]
    names = [text for text in names if text.get_text().startswith("a_rather")]
    assert len(names) == k
    assert not any(a.overlaps(b) for a, b in combinations(boxes(names), 2))


def test_two_classes_have_no_map_nor_have_classes_without_photos() -> None:
    assert drawing(photo_predictions([[3, 1], [0, 4]])) is None
    assert drawing(photo_predictions([[3, 1, 1], [0, 4, 0], [0, 0, 0]])) is None


def test_the_map_says_what_distance_means() -> None:
    words = str(drawing(blocks(3)).get_label())
    assert "Classes close together get similar probabilities" in words
    assert "Large distances have no meaning" in words
