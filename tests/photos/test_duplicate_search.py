"""The search in blocks finds what the plain one in tests/support finds, in whatever blocks."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcli.compute import local
from imgcli.photos import candidates, links
from imgcli.photos.fingerprint import LENGTH, SIDE, Fingerprints, cosines
from imgcli.photos.near_duplicates import StoredFingerprints, group_fingerprints
from imgcli.photos.row_cache import RowStore
from tests.support.near_duplicates import groups_of


def scene(rng: np.random.Generator, detail: int) -> np.ndarray:
    """A thumbnail with so many spots each way, (SIDE, SIDE, 3)."""
    coarse = Image.fromarray(rng.integers(0, 256, (detail, detail, 3), np.uint8))
    return np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def copy_of(rng: np.random.Generator, thumbnail: np.ndarray, kind: str) -> np.ndarray:
    if kind == "turned":
        return np.rot90(thumbnail)
    if kind == "mirrored":
        return thumbnail[:, ::-1]
    if kind == "equal":
        return thumbnail
    if kind == "cropped":
        inside = Image.fromarray(thumbnail[1:-1, 1:-1])
        return np.asarray(inside.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    amount = {"compressed": 4, "marked": 60}[kind]
    return (thumbnail + rng.normal(0, amount, thumbnail.shape)).clip(0, 255).astype(np.uint8)


KINDS = ("turned", "mirrored", "equal", "cropped", "compressed", "marked")


def fingerprints(seed: int, scenes: int, kinds: list[str], flat: int, burst: int) -> Fingerprints:
    """Scenes, copies of some, a burst of the first, and pictures of one colour; shuffled."""
    rng = np.random.default_rng(seed)
    own = [scene(rng, int(rng.integers(2, 12))) for _ in range(scenes)]
    made = own + [copy_of(rng, own[i % scenes], kind) for i, kind in enumerate(kinds)]
    made += [copy_of(rng, own[0], "compressed") for _ in range(burst)]
    made += [np.full((SIDE, SIDE, 3), rng.integers(0, 3), np.uint8) for _ in range(flat)]
    rows = np.empty((len(made), LENGTH), np.uint8)
    rows[:, 0] = rng.choice([40, 200], len(made))
    rows[:, 1:] = np.stack(made).reshape(len(made), -1)
    return rng.permutation(rows)


def parts(groups: list[int]) -> list[int]:
    """The same groups, numbered as they appear."""
    return [groups.index(group) for group in groups]


@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 10**6),
    scenes=st.integers(1, 12),
    kinds=st.lists(st.sampled_from(KINDS), max_size=16),
    flat=st.integers(0, 4),
    burst=st.sampled_from([0, 12]),
    block=st.sampled_from([1, 7, 1024]),
    at_once=st.sampled_from([16, 1 << 16]),
)
def test_blocks_and_the_order_of_reading_change_nothing(
    seed: int, scenes: int, kinds: list[str], flat: int, burst: int, block: int, at_once: int
) -> None:
    rows = fingerprints(seed, scenes, kinds, flat, burst)
    order = np.random.default_rng(seed).permutation(len(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "BLOCK", block)
        patch.setattr(links, "BLOCK", block)
        patch.setattr(links, "PHOTOS", at_once)
        found = group_fingerprints(rows, order).tolist()
    assert parts(found) == parts(groups_of(rows))


def test_fingerprints_on_disk_are_grouped_as_those_in_memory(tmp_path: Path) -> None:
    rows = fingerprints(1, 20, list(KINDS) * 3, 3, 5)
    kept = np.random.default_rng(0).permutation(len(rows))
    store = RowStore(tmp_path / "store", (LENGTH,), "uint8")
    store.append([f"{i:064x}" for i in kept.tolist()], rows[kept])
    stored = StoredFingerprints(store, store.rows([f"{i:064x}" for i in range(len(rows))]))
    assert (stored[np.array([3, 0, 3])] == rows[[3, 0, 3]]).all()
    assert (group_fingerprints(stored, stored.order) == group_fingerprints(rows)).all()


@pytest.mark.parametrize("kind", ["one colour each", "one scene", "one gradient"])
def test_pictures_that_all_look_alike_take_no_more_pairs_than_others(kind: str) -> None:
    rng = np.random.default_rng(0)
    n = 120
    rows = np.full((n, LENGTH), 200, np.uint8)
    if kind == "one colour each":
        rows[:, 1:] = rng.integers(0, 256, (n, 1, 3)).repeat(SIDE**2, 1).reshape(n, -1)
    else:
        ramp = np.linspace(20, 230, SIDE)[None, :, None].repeat(SIDE, 0).repeat(3, 2)
        one = scene(rng, 8) if kind == "one scene" else ramp
        rows[:, 1:] = (one.reshape(-1) + rng.normal(0, 2, (n, SIDE**2 * 3))).clip(0, 255)
    order = np.arange(n)
    known = candidates.survey(rows, order)
    if known.tolerance.any():
        pairs = candidates.candidates(rows, known, order)
        most = candidates.TABLES * 2 * candidates.REACH * len(candidates.VIEWS)
        assert len(pairs) <= most * n / 4  # of the n² / 2 that there are
    assert len(set(group_fingerprints(rows).tolist())) <= (n if kind == "one colour each" else 3)


def test_a_photo_takes_a_quarter_of_its_fingerprint_which_stays_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "BLOCK", 128)
    monkeypatch.setattr(links, "BLOCK", 128)
    monkeypatch.setattr(links, "PHOTOS", 256)
    monkeypatch.setattr(local, "cores", lambda: 1)  # how many blocks are held at once
    n, coarse = 6000, np.random.default_rng(0).random((6000, 3, 8, 8), np.float32)
    finer = np.float32(cosines(8))
    fine = (finer.T @ coarse @ finer).reshape(n, 3, -1).transpose(0, 2, 1).reshape(n, -1)
    rows = np.full((n, LENGTH), 200, np.uint8)
    rows[:, 1:] = (128 + 60 * fine / fine.std(1, keepdims=True)).clip(0, 255)
    store = RowStore(tmp_path / "store", (LENGTH,), "uint8")
    store.append([f"{i:064x}" for i in range(n)], rows)

    def peak(photos: int) -> int:
        stored = StoredFingerprints(store, np.arange(photos))
        tracemalloc.start()
        group_fingerprints(stored, stored.order)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert (peak(n) - peak(n // 3)) / (n - n // 3) < LENGTH / 4
