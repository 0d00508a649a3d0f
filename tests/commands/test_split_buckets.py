"""Photos in a bucket: split without a copy, read once, and refused when they have changed."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgcli.commands.split import split
from imgcli.errors import DataError, ImgcliError
from imgcli.photos.dataset import load_dataset
from tests.support.buckets import BUSY, CUT, DENIED, FakeS3, fake_s3, point_to
from tests.support.photos import write_classes
from tests.support.shards import as_shards, named_apart
from tests.support.shell import Shell, imgcli

pytestmark = pytest.mark.usefixtures("here")
WORDS = ("--arch", "8C3-P2", "--image-size", "16", "--epochs", "1", "--lr", "0.01", "--quiet")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[FakeS3, str]]:
    with fake_s3() as found:
        yield found


@pytest.fixture
def s3(
    server: tuple[FakeS3, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FakeS3]:
    """A bucket with photos/ and shards/ of the same photos, which are in raw/ as well."""
    point_to(server[1], monkeypatch, tmp_path / "none")
    named_apart(write_classes(Path("raw"), per_class=8, classes=2))
    as_shards(Path("raw"), Path("made"))
    s3 = server[0]
    s3.faults.clear()
    s3.before.clear()
    s3.put_all({str(f.relative_to("raw")): f.read_bytes() for f in Path("raw").rglob("*.png")})
    s3.put_all({f.name: f.read_bytes() for f in Path("made").iterdir()}, "shards")
    s3.asked.clear()
    yield s3


def photos_in(dataset: str) -> list[tuple[object, ...]]:
    document = json.loads(Path(dataset, "split.json").read_text())
    return [tuple(row[k] for k in ("path", "sha256", "size", "group", "part"))
            for row in document["photos"]]  # fmt: skip


def table_of(around: str) -> Path:
    files = sorted(Path("raw").rglob("*.png"))
    rows = [f"{around}/{file.relative_to('raw')},{file.parent.name}" for file in files]
    Path("photos.csv").write_text("\n".join(["uri,label", *rows]))
    return Path("photos.csv")


@pytest.mark.parametrize("what", ["shards", "folder", "table"])
def test_a_bucket_is_read_once_and_split_as_a_folder_is(s3: FakeS3, what: str) -> None:
    sources = {"shards": "s3://bucket/shards", "folder": "s3://bucket/photos"}
    split("raw", out="a")
    shutil.rmtree(".imgcli")
    s3.asked.clear()
    split(sources.get(what) or table_of("s3://bucket/photos"), out="b")
    assert photos_in("b") == photos_in("a") and os.listdir("b") == ["split.json"]
    read = {key: n for key, n in s3.asked.items() if re.match(r"GET .*\.(png|tar)$", key)}
    # Each photo once; each shard for its index, and for its photos by few requests.
    assert set(read.values()) <= ({1} if what != "shards" else {1, 2, 3}), read
    text = Path("b/split.json").read_text()
    assert "a secret" not in text and '"read_from": "s3://bucket/' in text


def test_training_asks_a_bucket_once_and_comes_to_the_figures_of_a_folder(s3: FakeS3) -> None:
    assert imgcli("split", "raw", "--out", "a", "--ratio", "0.75") == 0
    assert imgcli("train", "--data", "a", "--out", "of-folders", *WORDS) == 0
    shutil.rmtree(".imgcli")
    assert imgcli("split", "s3://bucket/shards", "--out", "b", "--ratio", "0.75") == 0
    assert imgcli("train", "--data", "b", "--out", "of-bucket", *WORDS) == 0
    assert Path("of-bucket/latest/model.safetensors").read_bytes() == (
        Path("of-folders/latest/model.safetensors").read_bytes()
    )
    s3.asked.clear()
    assert imgcli("train", "--data", "b", "--out", "of-bucket", *WORDS, "--seed", "1") == 0
    assert imgcli("evaluate", "--run", "of-bucket/latest", "--quiet") == 0
    assert not s3.asked, "what the cache has is asked for again"


def test_throttling_and_cut_connections_change_nothing(s3: FakeS3) -> None:
    s3.faults["photos/blue/blue-01.png"] = [BUSY, CUT]
    shard = "bucket/shards/s-001.tar"
    s3.before[shard] = lambda: s3.faults.update({shard: [BUSY, CUT]})  # once it was looked up
    split("raw", out="a")
    split("s3://bucket/photos", out="b")
    shutil.rmtree(".imgcli")
    split("s3://bucket/shards", out="c")
    assert photos_in("a") == photos_in("b") == photos_in("c")


def test_objects_that_changed_or_went_are_listed_and_refused(s3: FakeS3, shell: Shell) -> None:
    split("s3://bucket/photos")
    other = Path("raw/green/green-00.png").read_bytes()
    s3.put("photos/blue/blue-03.png", other + b"more")
    path = next(row[0] for row in photos_in("dataset") if str(row[0]).endswith("blue-03.png"))
    code, _, said = shell("train", *WORDS)
    assert code == 1 and f"have changed since the split: '{path}'" in said
    issues = shell.json("check", "dataset")["issues"]
    assert [(i["kind"], i["path"]) for i in issues if i["kind"] in ("changed", "missing")] == [
        ("changed", path)
    ]
    assert "1 added, 1 dropped" in split("s3://bucket/photos", update=True).notes[0]


def test_an_object_that_is_gone_is_refused(s3: FakeS3, shell: Shell) -> None:
    split("s3://bucket/photos", duplicates="off")
    shutil.rmtree(".imgcli")
    s3.faults["blue-03.png"] = [DENIED] * 9
    code, _, said = shell("train", *WORDS)
    assert code == 1 and "cannot be read where they are" in said and "access denied" in said
    assert len(said.strip().splitlines()) < 6


def test_a_row_whose_object_is_not_there_means_no_other(s3: FakeS3) -> None:
    table = table_of("s3://bucket/photos")
    table.write_text(table.read_text() + "\ns3://bucket/photos/green/blue-00.png,green\n")
    result = split(table)
    assert [item.reason for item in result.rejected] == ["there is no such object"]
    assert len(load_dataset(Path("dataset")).samples) == 16


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("s3://bucket/nothing", "There is nothing at 's3://bucket/nothing'"),
        ("s3://other/photos", "other"),
    ],
)
def test_a_place_that_is_not_there_is_one_sentence(s3: FakeS3, source: str, message: str) -> None:
    with pytest.raises(ImgcliError, match=message):
        split(source)


def test_photos_of_several_buckets_need_a_table_each(s3: FakeS3) -> None:
    Path("photos.csv").write_text("path,label\ns3://bucket/a.png,a\ns3://other/b.png,b\n")
    with pytest.raises(DataError, match="several buckets"):
        split("photos.csv")
