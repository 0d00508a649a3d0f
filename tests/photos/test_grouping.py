"""Photos that belong together: by their paths, a table, provenance, EXIF, and as duplicates."""

import importlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from imgcli.config import GroupBy
from imgcli.errors import DataError, WrongUsage
from imgcli.photos.dataset import load_dataset
from imgcli.photos.grouping import Photos, bursts, check_group_by, join_groups
from imgcli.photos.manifest import read_manifest
from imgcli.photos.split import SplitResult, split_folder
from tests.support.photos import make_photo, write_photo

EXIF, TAKEN, MODEL = 0x8769, 0x9003, 0x0110


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six patients of each class with four photos each."""
    monkeypatch.chdir(tmp_path)
    for patient in range(12):
        for i in range(4):
            label = "ill" if patient % 2 else "well"
            write_photo(f"raw/{label}/p{patient:02}_{i}.png", 100 * patient + i)
    return Path("raw")


def split(raw: Path, *specs: str, **choices: object) -> SplitResult:
    return split_folder(raw, group_by=specs, duplicates="exact", ratio=0.8, **choices)  # type: ignore[arg-type]


def groups(folder: str = "dataset") -> dict[str, set[str]]:
    """The sources of each group, by the first."""
    made = read_manifest(Path(folder))
    assert made
    found = defaultdict(set)
    for photo in made.photos:
        found[photo.group].add(photo.source)
    return {min(sources): sources for sources in found.values()}


def straddling(folder: str = "dataset") -> int:
    made = read_manifest(Path(folder))
    assert made
    return len({(p.group, p.part) for p in made.photos}) - len({p.group for p in made.photos})


PATIENTS = {f"{'ill' if k % 2 else 'well'}/p{k:02}_0.png" for k in range(12)}


@pytest.mark.parametrize(
    "spec", [r"(p\d+)_", r"/(?P<group>p\d\d)", r"(x)?(p\d+)", r"(?:q|p)([0-9]+)_"]
)
def test_a_pattern_names_the_group_of_each_path(raw: Path, spec: str) -> None:
    result = split(raw, spec)
    assert groups().keys() == PATIENTS and straddling() == 0
    assert (result.groups, result.groups_kept_together) == (12, 12)
    assert result.grouped_by == (spec,)
    assert f"--group-by '{spec}': 48 photos in 12 groups, 4 each." in result.notes


def test_photos_that_a_pattern_does_not_match_are_alone_and_counted(raw: Path) -> None:
    write_photo("raw/ill/other.png", 9)
    result = split(raw, r"(p\d+)_")
    assert "1 photo without one, each a group of its own" in result.notes[0]
    assert groups()["ill/other.png"] == {"ill/other.png"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("p[0-9]+", "has no group in parentheses"),
        ("(p", r"is no regular expression \(missing"),
        ("exif:bursts", "use exif:burst"),
        ("exif:burst=soon", "use exif:burst"),
        ("exif:burst=-1", "use exif:burst"),
        ("column:", "lacks a name, such as column:patient"),
        ("provenance: ", "lacks a name, such as provenance:creator"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_photos_are_read(spec: str, message: str) -> None:
    with pytest.raises(WrongUsage, match=message):
        check_group_by(GroupBy((spec,)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("(q[0-9]+)", r"matches none of the 48 paths in 'raw', such as 'ill/p01_0.png'"),
        (r"(\.png)", "joins all 48 photos into one group"),
        ("column:patient", "no table inside or beside 'raw'"),
        ("provenance:creator", r"no provenance.jsonl in 'raw'"),
        ("exif:burst", "no photo of 'raw' says in its EXIF when it was taken"),
    ],
)
def test_what_groups_nothing_is_refused(raw: Path, spec: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(raw, spec)
    assert not Path("dataset").exists()


def table(path: str, rows: Sequence[Sequence[object]]) -> None:
    Path(path).write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")


@pytest.mark.parametrize(
    "named", ["{label}/p{k:02}_{i}.png", "p{k:02}_{i}", "C:\\x\\p{k:02}_{i}.jpg"]
)
@pytest.mark.parametrize("place", ["raw/meta.csv", "meta.csv"])
def test_a_table_beside_or_inside_the_folder_names_the_groups(
    raw: Path, named: str, place: str
) -> None:
    rows = [
        (named.format(k=k, i=i, label="ill" if k % 2 else "well"), 50 + k, f"P{k}")
        for k in range(12)
        for i in range(4)
    ]
    table(place, [("image", "age", "Patient"), *rows, ("elsewhere.png", 3, "P1")])
    result = split(raw, "column:patient")
    assert groups().keys() == PATIENTS and straddling() == 0
    assert "48 photos in 12 groups" in result.notes[0]


def test_a_table_can_be_named_and_is_repeated_by_an_update(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    table(
        "far/a.csv", [("id", "site"), *((f"p{k:02}_{i}", k % 4) for k in range(12) for i in (0, 1))]
    )
    split(raw, "column:site", group_table="far/a.csv")
    before = groups()
    assert {len(one) for one in before.values()} == {6, 1}
    split_folder(raw, update=True)
    assert groups() == before
    with pytest.raises(DataError, match=r"'far/a.csv' has 'id' and 'site'"):
        split(raw, "column:sites", group_table="far/a.csv", out=Path("b"))
    with pytest.raises(WrongUsage, match=r"--group-table far/a.csv goes with --group-by column"):
        split(raw, "(p)", group_table="far/a.csv", out=Path("b"))
    with pytest.raises(DataError, match=r"'far/b.csv' cannot be read"):
        split(raw, "column:site", group_table="far/b.csv", out=Path("b"))


@pytest.mark.parametrize("place", ["meta.parquet", "raw/meta.parquet", "meta.json"])
def test_tables_of_other_kinds_name_the_groups(raw: Path, place: str) -> None:
    photos = [f"p{k:02}_{i}.png" for k in range(12) for i in range(4)]
    columns = {"image": photos, "patient": [name[:3] for name in photos]}
    if place.endswith(".json"):
        rows = [{"image": name, "patient": name[:3]} for name in photos]
        Path(place).write_text(json.dumps(rows))
    else:
        pa = pytest.importorskip("pyarrow")
        importlib.import_module("pyarrow.parquet").write_table(pa.table(columns), place)
    split(raw, "column:patient")
    assert groups().keys() == PATIENTS and straddling() == 0


def test_a_name_that_several_photos_have_is_refused(raw: Path) -> None:
    write_photo("raw/ill/p00_0.png", 77)
    table("meta.csv", [("image", "patient"), ("p00_0.png", 1), ("p01_0.png", 1)])
    with pytest.raises(DataError, match=r"2 files have that name.*Give paths with their folders"):
        split(raw, "column:patient")


def test_photographers_of_provenance_are_groups(raw: Path) -> None:
    lines = [
        {"path": f"{label}/p{k:02}_{i}.png", "sha256": "0" * 64, "size": 1, "creator": f"c{k // 2}"}
        for k in range(12)
        for i in range(4)
        if (label := "ill" if k % 2 else "well")
    ]
    Path("raw/provenance.jsonl").write_text("\n".join(map(json.dumps, lines)))
    split(raw, "provenance:creator")
    assert len(groups()) == 6 and straddling() == 0
    with pytest.raises(DataError, match="the lines have 'creator'"):
        split(raw, "provenance:camera", out=Path("b"))


def test_bursts_of_one_camera_are_groups(tmp_path: Path) -> None:
    shots = {"a": ("X", "10:00:00"), "b": ("X", "10:00:08"), "c": ("X", "10:00:17"),
             "d": ("X", "10:01:00"), "e": ("Y", "10:00:01"), "f": ("", "0000:00")}  # fmt: skip
    for number, (name, (model, time)) in enumerate(shots.items()):
        exif = Image.Exif()
        exif[MODEL] = model
        exif.get_ifd(EXIF)[TAKEN] = f"2024:05:01 {time}"
        make_photo(number, (40, 30)).save(tmp_path / f"{name}.jpg", exif=exif)
    paths = {f"{name}.jpg": f"{name}.jpg" for name in shots}
    photos = Photos(str(tmp_path), paths, paths, {}, (tmp_path,), tmp_path)
    alone = {path: number for number, path in enumerate(paths)}
    found = join_groups(alone, GroupBy(("exif:burst",)), photos)
    assert list(found.groups.values()) == [0, 0, 0, 1, 2, 3]
    assert "1 photo without one" in found.notes[0]
    found = join_groups(alone, GroupBy(("exif:burst=60",)), photos)
    assert list(found.groups.values()) == [0, 0, 0, 0, 1, 2]
    assert bursts([]) == []


def test_choices_and_duplicates_are_joined(tmp_path: Path) -> None:
    names = {
        path: path
        for path in ("a/p1_d1.jpg", "a/p1_d2.jpg", "b/p2_d2.jpg", "b/p3_d3.jpg", "b/x.jpg")
    }
    photos = Photos(str(tmp_path), names, names, {}, (tmp_path,), tmp_path)
    duplicates = {
        "a/p1_d1.jpg": 0,
        "a/p1_d2.jpg": 1,
        "b/p2_d2.jpg": 2,
        "b/p3_d3.jpg": 3,
        "b/x.jpg": 3,
    }
    found = join_groups(duplicates, GroupBy((r"(p\d)", r"(d\d)")), photos)
    assert list(found.groups.values()) == [0, 0, 0, 1, 1]
    assert "Duplicates and groups joined: 2 groups, 2 of them of two photos or more." in found.notes
    assert "The largest group has 60.0 % of all photos." in found.notes


def test_a_class_of_one_group_is_in_train_and_said(raw: Path) -> None:
    for i in range(3):
        write_photo(f"raw/rare/p90_{i}.png", 9000 + i)
    result = split(raw, r"(p\d+)_")
    assert result.classes["rare"] == {"train": 3, "test": 0}
    assert any(
        "No test photo of class 'rare': all its photos are one group" in n for n in result.notes
    )


def test_groups_of_a_dataset_made_elsewhere_do_not_depend_on_its_parts(raw: Path) -> None:
    for path in sorted(raw.rglob("*.png")):
        part = "test" if path.stem.endswith("_3") else "train"
        target = Path("theirs", part, path.parent.name, path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    alone = load_dataset(Path("theirs"))
    assert (alone.leaks, alone.grouped_by) == (0, ())
    dataset = load_dataset(Path("theirs"), group_by=GroupBy((r"(p\d+)_",)))
    assert (dataset.leaks, dataset.grouped_by) == (12, (r"(p\d+)_",))
    assert len(set(dataset.samples.groups.tolist())) == 12


def test_the_groups_of_a_split_are_those_of_the_dataset(raw: Path) -> None:
    split(raw, r"(p\d+)_")
    dataset = load_dataset(Path("dataset"))
    assert len(set(dataset.samples.groups.tolist())) == 12 and dataset.leaks == 0
    assert dataset.grouped_by == (r"(p\d+)_",)
    ungrouped = load_dataset(Path("dataset"), group_by=GroupBy(only_duplicates=True))
    assert len(set(ungrouped.samples.groups.tolist())) == 48 and ungrouped.grouped_by == ()


def test_a_split_without_groups_has_the_manifest_it_always_had(raw: Path) -> None:
    split_folder(raw)
    document = json.loads(Path("dataset/split.json").read_text())
    assert list(document) == [
        *("format", "imgcli", "ratio", "val", "seed", "duplicates", "link", "source", "classes"),
        "photos",
    ]
