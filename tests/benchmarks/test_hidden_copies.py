"""The table of hidden copies counts what the search finds, and its copies are copies."""

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks.hidden_copies import CONTROLS, HIDDEN, Outcome, measured, table


def texture(seed: int, height: int = 120, width: int = 160) -> Image.Image:
    """Coloured blobs of several sizes."""
    rng = np.random.default_rng(seed)
    made = np.zeros((height, width, 3))
    for cells in (4, 8, 16):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        made += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 3
    return Image.fromarray(made.astype(np.uint8))


@pytest.mark.parametrize("kind", [*CONTROLS, *HIDDEN])
def test_a_copy_differs_from_its_photo_and_is_the_same_each_time(kind: str) -> None:
    photo, change = texture(0), {**CONTROLS, **HIDDEN}[kind]
    before = photo.tobytes()
    one, again = (change(photo, random.Random(3)) for _ in range(2))
    assert photo.tobytes() == before
    assert (one.size, one.tobytes()) == (again.size, again.tobytes())
    assert (one.size, one.tobytes()) != (photo.size, before)
    assert one.mode == "RGB"


def test_controls_are_found_and_no_photo_is_joined_with_another(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(40)]
    for i, file in enumerate(files):
        texture(i).save(file)
    (tmp_path / "work").mkdir()
    outcome = measured(files, 4, tmp_path / "work")
    assert list(outcome.found) == [*CONTROLS, *HIDDEN]
    assert all(outcome.found[kind] == 4 for kind in CONTROLS)
    assert max(outcome.found.values()) <= outcome.each == 4
    assert outcome.brought_together == 0


def test_the_table_has_share_interval_and_goal() -> None:
    lines = table(Outcome({"all": 40, "few": 9}, 40, 0.0, 1.0)).splitlines()
    assert lines[2:] == [
        "| all | 40 | 91–100 % | reached |",
        "| few | 9 | 12–38 % | missed |",
    ]
