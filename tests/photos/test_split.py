"""The split: who goes where, and what lies on the disk afterwards."""

import errno
import hashlib
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from imgcli.errors import DataError, StorageError, WrongUsage
from imgcli.folder_names import Levels
from imgcli.photos.manifest import PlacedPhoto, flat_names, read_manifest
from imgcli.photos.split import choose_parts, split_folder
from imgcli.records import IntArray
from tests.support.trees import files_of, fill

# --- deciding -----------------------------------------------------------------------------------

SHARES = [
    {"train": 0.9, "test": 0.1},
    {"train": 0.5, "test": 0.5},
    {"train": 0.7, "val": 0.1, "test": 0.2},
    {"train": 0.55, "val": 0.35, "test": 0.1},
    {"train": 0.02, "val": 0.95, "test": 0.03},
]


def digests_of(n: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)]


def deal(
    targets: Sequence[int],
    groups: Sequence[int] | None = None,
    shares: Mapping[str, float] = SHARES[0],
    seed: int = 0,
    placed: Mapping[int, str] | None = None,
) -> dict[str, IntArray]:
    """`choose_parts` for N different photos, all of different groups unless given."""
    n = len(targets)
    numbers = np.array(groups if groups is not None else range(n), dtype=np.int64)
    return choose_parts(
        np.array(targets, dtype=np.int64), numbers, digests_of(n), shares, seed, placed
    )


def per_class(parts: Mapping[str, IntArray], targets: Sequence[int]) -> dict[str, list[int]]:
    return {
        part: np.bincount(np.array(targets)[rows], minlength=max(targets) + 1).tolist()
        for part, rows in parts.items()
    }


labels = st.lists(st.integers(0, 3), min_size=2, max_size=60)


@st.composite
def labelled_groups(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Labels and groups of N photos, groups of any size and of several classes."""
    targets = draw(labels)
    groups = draw(
        st.lists(st.integers(0, 30), min_size=len(targets), max_size=len(targets)),
    )
    return targets, groups


@given(labelled_groups(), st.sampled_from(SHARES), st.integers(0, 5))
def test_every_photo_is_in_one_part_and_groups_never_straddle(
    photos: tuple[list[int], list[int]], shares: dict[str, float], seed: int
) -> None:
    targets, groups = photos
    parts = deal(targets, groups, shares, seed)
    assert parts.keys() == shares.keys()
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(targets)))
    homes = defaultdict(set)
    for part, rows in parts.items():
        for row in rows:
            homes[groups[row]].add(part)
    assert all(len(home) == 1 for home in homes.values())


@given(labelled_groups(), st.sampled_from(SHARES), st.integers(0, 5))
def test_no_class_loses_its_last_training_photo(
    photos: tuple[list[int], list[int]], shares: dict[str, float], seed: int
) -> None:
    targets, groups = photos
    train = deal(targets, groups, shares, seed)["train"]
    assert {targets[row] for row in train} == set(targets)


# Not the last shares: a class of three cannot keep to them and have a photo in each part.
@given(labels, st.sampled_from(SHARES[:-1]), st.integers(0, 5))
def test_single_photos_come_within_one_of_the_shares(
    targets: list[int], shares: dict[str, float], seed: int
) -> None:
    counts = per_class(deal(targets, shares=shares, seed=seed), targets)
    for label, n in Counter(targets).items():
        have = {part: counts[part][label] for part in shares}
        if n >= 2:
            assert have["test"] >= 1
            assert abs(have["test"] - shares["test"] * n) <= 1
        if n >= 3 and "val" in shares:
            assert have["val"] >= 1
            assert abs(have["val"] - shares["val"] * n) <= 1


@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=9),
    st.sampled_from([0.5, 0.7, 0.9]),
    st.integers(0, 5),
)
def test_no_selection_of_groups_would_come_nearer_to_the_ratio(
    sizes: list[int], ratio: float, seed: int
) -> None:
    n = sum(sizes)
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    test = len(deal([0] * n, groups, {"train": ratio, "test": 1 - ratio}, seed)["test"])
    sums = {0}
    for size in sizes:
        sums |= {s + size for s in sums}
    best = min(abs(s - (1 - ratio) * n) for s in sums if 1 <= s < n)
    assert abs(test - (1 - ratio) * n) == pytest.approx(best)


@given(st.lists(st.sets(st.integers(0, 2), min_size=2), max_size=8), st.integers(0, 20))
def test_groups_of_several_classes_are_made_up_for_by_single_photos(
    mixed: list[set[int]], seed: int
) -> None:
    targets = [label for label in range(3) for _ in range(20)]
    groups = list(range(len(targets)))
    for number, members in enumerate(mixed, 1000):
        targets += sorted(members)
        groups += [number] * len(members)
    counts = per_class(deal(targets, groups, seed=seed), targets)
    for label, n in Counter(targets).items():
        assert abs(counts["test"][label] - 0.1 * n) <= 1


def test_classes_whose_every_photo_is_shared_are_assigned_all_the_same() -> None:
    targets, groups = [0, 1] * 20, [i // 2 for i in range(40)]
    for seed in range(20):
        assert per_class(deal(targets, groups, seed=seed), targets)["test"] == [2, 2]


def test_a_shared_pair_is_too_much_for_the_ratio_but_a_class_needs_a_test_photo() -> None:
    targets, groups = [0, 1] * 4, [0, 0, 0, 0, 1, 1, 1, 1]
    for seed in range(5):
        assert per_class(deal(targets, groups, seed=seed), targets)["test"] == [2, 2]


def test_groups_reach_the_test_part_as_often_as_single_photos() -> None:
    # 60 single photos, 10 pairs of one class and 10 pairs of two: 100 photos of two classes.
    targets = [0, 1] * 30 + [0] * 20 + [0, 1] * 10
    groups = list(range(60)) + [100 + i // 2 for i in range(20)] + [200 + i // 2 for i in range(20)]
    shares = {"train": 0.8, "test": 0.2}
    tests = np.concatenate([deal(targets, groups, shares, seed)["test"] for seed in range(300)])
    times = np.bincount(tests, minlength=100) / 300
    assert times[:60].mean() == pytest.approx(0.2, abs=0.02)
    assert times[60:80].mean() == pytest.approx(0.2, abs=0.02)
    assert times[80:].mean() == pytest.approx(0.2, abs=0.02)


@given(labelled_groups(), st.sampled_from(SHARES), st.integers(0, 5), st.randoms())
def test_the_order_of_photos_changes_nothing(
    photos: tuple[list[int], list[int]], shares: dict[str, float], seed: int, random: Any
) -> None:
    targets, groups = photos
    digests = digests_of(len(targets))
    order = list(range(len(targets)))
    random.shuffle(order)
    expected = choose_parts(np.array(targets), np.array(groups), digests, shares, seed)
    shuffled = choose_parts(
        np.array([targets[i] for i in order]),
        np.array([100 - groups[i] for i in order]),  # other numbers for the same groups
        [digests[i] for i in order],
        shares,
        seed,
    )
    for part, rows in expected.items():
        assert sorted(order[row] for row in shuffled[part]) == rows.tolist()


def test_the_same_photo_twice_ungrouped_lands_alike_in_any_order() -> None:
    targets, digests = [0, 0, 0, 1, 1, 1], ["a", "a", "b", "a", "c", "d"]
    expected = None
    for order in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [1, 3, 0, 2, 5, 4]):
        parts = choose_parts(
            np.array([targets[i] for i in order]),
            np.arange(6),
            [digests[i] for i in order],
            {"train": 0.5, "test": 0.5},
            seed=1,
        )
        held = Counter((targets[order[row]], digests[order[row]]) for row in parts["test"])
        assert expected in (None, held)
        expected = held


def test_the_seed_decides() -> None:
    tests = {tuple(deal([0, 1] * 20, seed=seed)["test"].tolist()) for seed in range(10)}
    assert len(tests) == 10


def test_a_class_of_one_group_stays_in_train() -> None:
    assert deal([0, 0, 0, 1, 1], [7, 7, 7, 8, 9])["test"].tolist() in ([3], [4])


@given(labelled_groups(), st.data(), st.sampled_from(SHARES))
def test_what_was_placed_before_stays_and_its_duplicates_join_it(
    photos: tuple[list[int], list[int]], data: st.DataObject, shares: dict[str, float]
) -> None:
    targets, groups = photos
    first = data.draw(st.integers(1, len(targets)))
    old = choose_parts(
        np.array(targets[:first]), np.array(groups[:first]), digests_of(first), shares, 0
    )
    placed = {int(row): part for part, rows in old.items() for row in rows}
    new = deal(targets, groups, shares, seed=3, placed=placed)
    home = {int(row): part for part, rows in new.items() for row in rows}
    assert home.items() >= placed.items()
    for row, part in placed.items():
        assert {home[other] for other, g in enumerate(groups) if g == groups[row]} == {part}


@given(labels, st.integers(0, 5))
def test_new_photos_fill_up_the_quotas(more: list[int], seed: int) -> None:
    targets = [0, 1, 2, 3] * 10
    placed = {int(row): part for part, rows in deal(targets).items() for row in rows}
    counts = per_class(deal(targets + more, seed=seed, placed=placed), targets + more)
    for label, n in Counter(targets + more).items():
        assert abs(counts["test"][label] - 0.1 * n) <= 1


def test_new_duplicates_of_a_group_in_two_parts_go_to_train() -> None:
    parts = deal([0, 0, 0, 1, 1], [5, 5, 5, 6, 7], placed={0: "test", 1: "train", 3: "test"})
    assert parts["test"].tolist() == [0, 3]


# --- the folder ---------------------------------------------------------------------------------


@pytest.fixture
def raw(here: Path) -> Path:
    fill(here / "raw", {"cat": 20, "dog": 30})
    return Path("raw")


def split(raw: Path, out: Path = Path("dataset"), **choices: Any) -> Any:
    return split_folder(raw, out, **{"duplicates": "exact", **choices})


def placed_in(out: Path) -> tuple[PlacedPhoto, ...]:
    manifest = read_manifest(out)
    assert manifest is not None
    return manifest.photos


def here_lie() -> set[str]:
    return {path.name for path in Path().iterdir()} - {".imgcli"}


def test_a_split_lays_out_parts_classes_and_names_as_hard_links(raw: Path) -> None:
    before = files_of(raw)
    result = split(raw, val=0.2)
    assert result.classes == {
        "cat": {"train": 14, "val": 4, "test": 2},
        "dog": {"train": 21, "val": 6, "test": 3},
    }
    assert (result.out, result.seed, result.ratio) == (Path("dataset"), 0, 0.9)
    assert result.rejected == result.notes == ()
    for photo in placed_in(result.out):
        assert photo.path == f"{photo.part}/{photo.source}"
        assert (result.out / photo.path).samefile(raw / photo.source)
    assert files_of(result.out).keys() == {"split.json", *(p.path for p in placed_in(result.out))}
    assert files_of(raw) == before
    assert here_lie() == {"dataset", "raw"}


def test_the_manifest_says_where_each_photo_came_from(raw: Path) -> None:
    shutil.copy(raw / "cat/000.jpg", raw / "cat/again.jpg")
    split(raw)
    document = json.loads(Path("dataset/split.json").read_text())
    assert {k: document[k] for k in ("format", "ratio", "val", "seed", "source", "classes")} == {
        "format": 1,
        "ratio": 0.9,
        "val": None,
        "seed": 0,
        "source": "raw",
        "classes": ["cat", "dog"],
    }
    by_source = {photo["source"]: photo for photo in document["photos"]}
    one, other = by_source["cat/000.jpg"], by_source["cat/again.jpg"]
    assert one["sha256"] == hashlib.sha256(b"cat  0").hexdigest()
    assert one["size"] == 6
    assert (one["group"], one["part"]) == (other["group"], other["part"])
    assert len({photo["group"] for photo in document["photos"]}) == 50


def test_folder_order_file_times_and_the_roots_name_change_nothing(raw: Path) -> None:
    other = Path("elsewhere/photos of mine")
    for path in sorted(raw.rglob("*.jpg"), reverse=True):
        copy = other / path.relative_to(raw)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        os.utime(copy, (1, len(files_of(other))))
    split(raw, seed=3)
    split(other, Path("two"), seed=3, link="copy")
    assert placed_in(Path("dataset")) == placed_in(Path("two"))


def test_groups_kept_together_are_counted_and_stay_on_one_side(raw: Path) -> None:
    for label in ("cat", "dog"):
        for i in range(10):
            shutil.copy(raw / label / f"{i:03d}.jpg", raw / label / f"copy{i}.jpg")
    shutil.copy(raw / "cat/019.jpg", raw / "dog/a cat.jpg")
    for seed in range(5):
        result = split(raw, Path(f"out{seed}"), seed=seed)
        assert result.groups_kept_together == 21
        homes = defaultdict(set)
        for photo in placed_in(result.out):
            homes[photo.sha256].add(photo.part)
        assert all(len(home) == 1 for home in homes.values())
        assert [n["test"] for n in result.classes.values()] == [3, 4]
    assert split(raw, Path("off"), duplicates="off").groups_kept_together == 0


def test_photos_of_sub_folders_do_not_overwrite_each_other(here: Path) -> None:
    for name in ("a/1.jpg", "b/1.jpg", "1.jpg", "a__1.jpg", f"{'x' * 200}/{'y' * 200}.jpg"):
        path = here / "raw/cat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    fill(here / "raw", {"dog": 3})
    split(here / "raw")
    cats = [photo for photo in placed_in(Path("dataset")) if photo.label == "cat"]
    names = {photo.source: photo.path.split("/")[2] for photo in cats}
    assert names["cat/1.jpg"] == "1.jpg"
    assert names["cat/b/1.jpg"] == "b__1.jpg"
    assert names["cat/a__1.jpg"] == "a__1.jpg"
    assert len(set(names.values())) == 5
    for photo in cats:
        assert (Path("dataset") / photo.path).read_text() == photo.source.removeprefix("cat/")


@settings(max_examples=100, deadline=None)
@given(name=st.text(st.characters(exclude_characters="/\0"), min_size=1), offset=st.integers(-1, 9))
def test_a_line_of_the_manifest_is_what_json_writes(name: str, offset: int) -> None:
    at = None if offset < 0 else offset
    photo = PlacedPhoto(f"test/a/{name}", name, 3, "0" * 64, 5, "test", at)
    document = structs.asdict(photo)
    if at is None:
        del document["offset"]
    assert photo.to_json() == json.dumps(document)


def test_flat_names_do_not_depend_on_order() -> None:
    sources = ["cat/a/1.jpg", "cat/a__1.jpg", "cat/b/c/1.jpg", "dog/a/1.jpg"]
    steps = {source: (source.split("/")[0], source.split("/", 1)[1]) for source in sources}
    names = flat_names(steps)
    assert flat_names(dict(reversed(steps.items()))) == names
    assert (names["cat/b/c/1.jpg"], names["dog/a/1.jpg"]) == ("b__c__1.jpg", "a__1.jpg")


def test_symbolic_links_stay_valid_when_everything_moves(raw: Path, here: Path) -> None:
    (here / "work").mkdir()
    shutil.move(raw, here / "work/raw")
    split(here / "work/raw", here / "work/dataset", link="symlink")
    shutil.move(here / "work", here / "moved")
    for photo in placed_in(here / "moved/dataset"):
        link = here / "moved/dataset" / photo.path
        assert not os.path.isabs(os.readlink(link))
        assert link.resolve() == here / "moved/raw" / photo.source


def test_copies_are_copies(raw: Path) -> None:
    result = split(raw, link="copy")
    photo = placed_in(result.out)[0]
    assert not (result.out / photo.path).samefile(raw / photo.source)
    assert (result.out / photo.path).read_bytes() == (raw / photo.source).read_bytes()
    assert result.notes == ()


def test_photos_that_are_links_become_hard_links_to_what_they_show(raw: Path, here: Path) -> None:
    (here / "real.jpg").write_text("somewhere else")
    (raw / "cat/link.jpg").symlink_to("../../real.jpg")
    split(raw)
    (photo,) = (p for p in placed_in(Path("dataset")) if p.source == "cat/link.jpg")
    assert (Path("dataset") / photo.path).samefile(here / "real.jpg")
    assert not (Path("dataset") / photo.path).is_symlink()


def refuse_links(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    def link(source: str, target: str, **_: object) -> None:
        raise OSError(error, os.strerror(error), source)

    monkeypatch.setattr(os, "link", link)


def test_across_file_systems_photos_are_copied(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_links(monkeypatch, errno.EXDEV)
    result = split(raw)
    assert result.notes == ("Copied: 50, since hard links from 'raw' do not reach 'dataset'.",)
    assert len(files_of(result.out)) == 51


def test_hard_links_that_cannot_be_are_refused(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_links(monkeypatch, errno.EPERM)
    with pytest.raises(StorageError, match=r"cannot have a hard link in 'dataset'.*--link auto"):
        split(raw, link="hard")
    assert not Path("dataset").exists()


def test_copies_that_do_not_fit_are_refused_early(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(raw)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StorageError, match=r"A copy of 'raw' needs .* are free"):
        split(raw, link="copy")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_stopped_half_way_nothing_is_left_and_nothing_is_lost(
    raw: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    split(raw)
    before, photos = files_of(Path("dataset")), files_of(raw)
    link, calls = os.link, []

    def break_off(source: str, target: str, **options: Any) -> None:
        calls.append(target)
        if len(calls) == 10:
            raise error
        link(source, target, **options)

    monkeypatch.setattr(os, "link", break_off)
    with pytest.raises(type(error)):
        split(raw, seed=1, force=True)
    assert files_of(Path("dataset")) == before
    assert files_of(raw) == photos
    assert here_lie() == {"dataset", "raw"}


def test_an_output_that_exists_is_only_replaced_by_force_and_then_whole(raw: Path) -> None:
    split(raw)
    with pytest.raises(StorageError, match=r"'dataset' exists.*--force"):
        split(raw, seed=1)
    shutil.rmtree(raw / "cat")
    fill(raw, {"owl": 12})
    assert split(raw, seed=1, force=True).notes == ()
    assert {photo.label for photo in placed_in(Path("dataset"))} == {"dog", "owl"}
    assert not list(Path("dataset").rglob("cat"))
    assert here_lie() == {"dataset", "raw"}


@pytest.mark.parametrize("how", ["force", "update"])
def test_someones_own_files_in_the_output_are_kept_aside(raw: Path, how: str) -> None:
    split(raw)
    Path("dataset/train/.DS_Store").write_text("not worth it")
    split(raw, **{how: True})
    assert here_lie() == {"dataset", "raw"}
    Path("dataset/train/cat/mine.jpg").write_text("no other copy")
    (note,) = (n for n in split(raw, **{how: True}).notes if "aside" in n or "beside" in n)
    assert "'train/cat/mine.jpg'" in note
    (kept,) = Path().glob("dataset.replaced-*")
    assert (kept / "train/cat/mine.jpg").read_text() == "no other copy"
    assert not Path("dataset/train/cat/mine.jpg").exists()


# --- splitting again ----------------------------------------------------------------------------


def test_an_update_moves_no_photo_and_fills_the_quotas(raw: Path) -> None:
    split(raw, ratio=0.8, seed=5)
    before = {photo.sha256: photo.part for photo in placed_in(Path("dataset"))}
    fill(raw, {"cat": 11, "owl": 10}, salt="new")
    (raw / "dog/000.jpg").unlink()
    (raw / "cat/001.jpg").rename(raw / "cat/renamed.jpg")
    result = split(raw, update=True)
    assert result.notes == (
        "Updated: 21 added, 1 dropped that 'raw' no longer holds, 49 left in their parts.",
        "Fewer than 10 independent photos to train on: 'owl' (8); for cross-validation use `imgcli "
        "evaluate --folds 8`.",
    )
    assert (result.seed, result.ratio) == (5, 0.8)
    after = {photo.sha256: photo.part for photo in placed_in(Path("dataset"))}
    assert {sha: part for sha, part in after.items() if sha in before}.items() <= before.items()
    assert [n["test"] for n in result.classes.values()] == [6, 6, 2]
    assert len(after) == 70
    assert len(files_of(Path("dataset"))) == 71


def test_an_update_without_changes_changes_nothing(raw: Path) -> None:
    split(raw, val=0.1)
    before = files_of(Path("dataset"))
    split(raw, update=True)
    assert files_of(Path("dataset")) == before


def test_new_duplicates_go_where_the_placed_photo_is(raw: Path) -> None:
    split(raw)
    test = [photo for photo in placed_in(Path("dataset")) if photo.part == "test"]
    for photo in test:
        for i in range(5):
            shutil.copy(raw / photo.source, raw / photo.label / f"again{i}-{photo.source[4:]}")
    result = split(raw, update=True)
    assert [n["test"] for n in result.classes.values()] == [12, 18]


def test_duplicates_that_an_update_finds_in_two_parts_are_reported(raw: Path) -> None:
    for i in range(20):
        shutil.copy(raw / "cat/000.jpg", raw / f"cat/copy{i}.jpg")
    split(raw, ratio=0.5, duplicates="off")
    before = placed_in(Path("dataset"))
    _, note = split(raw, update=True, duplicates="exact").notes
    assert "In two parts: 1 of the groups of duplicates" in note
    after = {photo.source: photo.part for photo in placed_in(Path("dataset"))}
    assert after == {photo.source: photo.part for photo in before}


def test_there_must_be_something_to_update(raw: Path) -> None:
    with pytest.raises(DataError, match=r"nothing to update: no 'dataset/split.json'"):
        split(raw, update=True)
    split(raw)
    with pytest.raises(WrongUsage, match=r"--update keeps .*--force replaces"):
        split(raw, update=True, force=True)


def test_a_damaged_manifest_is_no_ground_for_an_update(raw: Path) -> None:
    split(raw)
    Path("dataset/split.json").write_text('{"format": 1, "photos": [')
    with pytest.raises(DataError, match=r"'dataset/split.json' cannot be read .*--force"):
        split(raw, update=True)
    split(raw, force=True)
    assert len(list(Path().glob("dataset.replaced-*"))) == 1


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1, 1.5, 90.0, float("nan")])
def test_a_ratio_outside_0_and_1_is_refused(raw: Path, ratio: float) -> None:
    with pytest.raises(WrongUsage, match=rf"--ratio {ratio:g} is not between 0 and 1"):
        split(raw, ratio=ratio)


@pytest.mark.parametrize("val", [0.0, -0.5, 0.8, 2.0])
def test_a_val_share_that_leaves_no_train_is_refused(raw: Path, val: float) -> None:
    with pytest.raises(WrongUsage, match=rf"--val {val:g} is not between 0 and 0.8"):
        split(raw, ratio=0.8, val=val)


@pytest.mark.parametrize("out", ["raw", "raw/dataset", "raw/cat/x", "link/dataset"])
def test_an_output_inside_the_raw_folder_is_refused(raw: Path, out: str) -> None:
    Path("link").symlink_to("raw")
    with pytest.raises(StorageError, match=r"is inside 'raw'"):
        split(raw, Path(out))


def test_an_output_around_the_raw_folder_is_refused(raw: Path, here: Path) -> None:
    with pytest.raises(StorageError, match=r"'raw' is inside --out"):
        split(raw, here, force=True)
    assert len(files_of(raw)) == 50


def test_one_class_only_is_refused(here: Path) -> None:
    fill(here / "raw", {"cat": 5})
    with pytest.raises(DataError, match=r"'raw' has one class only, 'cat'; a classifier needs two"):
        split(Path("raw"))
    assert not Path("dataset").exists()


def test_a_folder_around_the_class_folders_is_passed(here: Path) -> None:
    fill(here / "raw/photos", {"cat": 5, "dog": 5})
    assert list(split(Path("raw")).classes) == ["cat", "dog"]
    assert len(list(Path("dataset/train/cat").iterdir())) == 4


def test_the_same_class_in_several_folders_is_one(here: Path) -> None:
    for site in ("site1", "site2"):
        fill(here / f"raw/{site}", {"cat": 5, "dog": 5})
    result = split(Path("raw"), duplicates="off")
    assert result.classes["cat"] == {"train": 9, "test": 1}
    photos = placed_in(result.out)
    assert len(photos) == len({photo.path for photo in photos}) == 20
    assert all((result.out / photo.path).samefile(here / "raw" / photo.source) for photo in photos)


def test_a_tree_that_can_mean_two_things_is_split_as_the_user_says(here: Path) -> None:
    for place in ("indoor", "outdoor"):
        for animal in ("cat", "dog"):
            fill(here / f"raw/{animal}", {place: 5})
    with pytest.raises(WrongUsage, match="--classes-at 1"):
        split(Path("raw"))
    assert list(split(Path("raw"), levels=Levels("1")).classes) == ["cat", "dog"]
    result = split(Path("raw"), levels=Levels("*/*"), force=True, duplicates="off")
    assert list(result.classes) == ["indoor", "outdoor"]


def test_classes_with_one_photo_are_in_train_and_said(raw: Path) -> None:
    fill(raw, {"owl": 1, "ant": 1})
    result = split(raw)
    assert result.classes["owl"] == result.classes["ant"] == {"train": 1, "test": 0}
    (note,) = result.notes
    assert note.startswith("One photo only, in train: class 'ant' and 'owl'. How well it is")
    assert "--min-photos 2" in note


def test_classes_of_few_photos_are_left_out_on_request(raw: Path) -> None:
    fill(raw, {"owl": 1, "ant": 3, "elk": 4})
    result = split(raw, min_photos=4)
    assert list(result.classes) == ["cat", "dog", "elk"]
    assert result.left_out == {"ant": 3, "owl": 1}
    assert "Left out, with fewer than 4 photos: 'owl' (1), 'ant' (3)." in result.notes
    fill(raw, {"ant": 4})
    assert list(split(raw, update=True).classes) == ["ant", "cat", "dog", "elk"]
    with pytest.raises(DataError, match=r"--min-photos leaves 1 class .*Left out: 'owl' \(1\)"):
        split(raw, min_photos=25, update=True)
    with pytest.raises(WrongUsage, match="--min-photos 0 must be at least 1"):
        split(raw, min_photos=0, update=True)


def test_a_folder_that_is_split_already_is_refused(raw: Path) -> None:
    split(raw)
    with pytest.raises(DataError, match=r"'dataset' is split already, into 'test' and 'train'"):
        split(Path("dataset"), Path("again"))


def test_no_such_folder(here: Path) -> None:
    with pytest.raises(DataError, match=r"No folder 'nowhere'"):
        split(Path("nowhere"))


def test_unreadable_photos_are_listed_and_the_rest_goes_on(raw: Path) -> None:
    (raw / "cat/empty.jpg").touch()
    (raw / "cat/notes.txt").write_text("no photo")
    fill(raw, {"owl": 0})
    (raw / "owl/1.jpg").touch()
    (raw / "owl/2.jpg").touch()
    result = split(raw)
    assert [r.path for r in result.rejected] == [
        *("cat/empty.jpg", "cat/notes.txt", "owl/1.jpg", "owl/2.jpg")
    ]
    assert all(r.reason for r in result.rejected)
    assert result.notes == ("Left out, since none of its photos can be used: class 'owl'.",)
    assert [sum(n.values()) for n in result.classes.values()] == [20, 30]


def test_a_class_left_with_one_readable_photo_is_in_train(raw: Path) -> None:
    fill(raw, {"owl": 1})
    (raw / "owl/empty.jpg").touch()
    result = split(raw)
    assert result.classes["owl"] == {"train": 1, "test": 0}
    assert "class 'owl'" in result.notes[0]


def test_no_readable_photo_at_all_is_refused(here: Path) -> None:
    for name in ("cat/1.jpg", "dog/1.jpg", "cat/2.jpg", "dog/2.jpg"):
        (here / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "raw" / name).touch()
    with pytest.raises(DataError, match=r"No photo in 'raw' can be used. Not usable: 'cat/1.jpg'"):
        split(Path("raw"))


def test_a_class_without_a_test_photo_is_said(raw: Path) -> None:
    for i in range(3):
        (raw / "owl").mkdir(exist_ok=True)
        (raw / f"owl/{i}.jpg").write_text("the same")
    result = split(raw)
    assert result.classes["owl"] == {"train": 3, "test": 0}
    assert "No test photo of class 'owl'" in result.notes[0]


def test_names_that_are_no_text_survive(here: Path) -> None:
    fill(here / "raw", {"dog": 5})
    for name in (b"caf\xe9 \xff.jpg", "écran\n2.jpg".encode(), b"-rf.jpg"):
        with open(os.fsencode(here / "raw/dog") + b"/" + name, "wb") as file:
            file.write(name)
    fill(here / "raw", {"a [red] cat": 5})
    split(Path("raw"))
    placed = placed_in(Path("dataset"))
    assert len(placed) == 13
    assert all(
        (Path("dataset") / photo.path).samefile(Path("raw") / photo.source) for photo in placed
    )
