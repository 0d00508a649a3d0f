"""Photos in shards, or named by a table: `split` writes `split.json` alone, later commands read."""

import json
import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import webdataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcli.commands.check import check
from imgcli.commands.split import split
from imgcli.errors import DataError, ImgcliError, StorageError, WrongUsage
from imgcli.image_types import EMPTY
from imgcli.photos.dataset import load_dataset
from tests.support.photos import COLOURS, coloured_photo, photo, png, write_classes
from tests.support.shards import as_shards, named_apart, write_shard
from tests.support.shell import Shell, imgcli

pytestmark = pytest.mark.usefixtures("here")


def split_photos(dataset: str = "dataset") -> list[tuple[Any, ...]]:
    """What was split, but for where it is."""
    document = json.loads(Path(dataset, "split.json").read_text())
    keys = ("path", "sha256", "size", "group", "part")
    return [tuple(row[key] for key in keys) for row in document["photos"]]


@pytest.fixture
def shards() -> Path:
    """Eight photos of each of two colours in `raw`, and the same in `shards`."""
    named_apart(write_classes(Path("raw"), per_class=8, classes=2))
    made = as_shards(Path("raw"), Path("shards"))
    for shard in made.iterdir():
        os.utime(shard, (10**9, 10**9))  # what was written a moment ago is read again
    return made


# --- the same split as of folders ---------------------------------------------------------------


@given(
    contents=st.lists(st.integers(0, 40), min_size=4, max_size=30),
    order=st.randoms(use_true_random=False),
    per_shard=st.integers(1, 9),
    suffix=st.sampled_from([".cls", ".txt", ".json"]),
    seed=st.integers(0, 3),
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_photos_in_shards_are_split_as_those_in_folders(
    contents: list[int], order: Any, per_shard: int, suffix: str, seed: int
) -> None:
    """Whatever the order and the shards, and though photos come twice, in two classes too."""
    for folder in ("raw", "shards", "a", "b"):
        shutil.rmtree(folder, ignore_errors=True)
    samples = []
    for i, content in enumerate([*contents, 41, 42]):
        label = ("cat", "dog")[i % 2]
        samples.append((label, f"{label}{i:02}", photo(content)))
        file = Path("raw", label, f"{label}{i:02}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(photo(content))
    order.shuffle(samples)
    for start in range(0, len(samples), per_shard):
        members: list[tuple[str, bytes]] = []
        for label, key, data in samples[start : start + per_shard]:
            text = json.dumps({"label": label}) if suffix == ".json" else label
            members += [(f"{key}.png", data), (f"{key}{suffix}", text.encode())]
        write_shard(Path("shards", f"{start:02}.tar"), members)
    one = split("raw", duplicates="exact", ratio=0.6, seed=seed, out="a")
    other = split("shards", duplicates="exact", ratio=0.6, seed=seed, out="b")
    assert split_photos("a") == split_photos("b")
    assert (one.classes, one.groups) == (other.classes, other.groups)
    assert os.listdir("b") == ["split.json"]


def test_shards_of_the_library_itself_are_read() -> None:
    named_apart(write_classes(Path("raw"), per_class=6, classes=2))
    Path("shards").mkdir()
    with webdataset.ShardWriter("shards/part-%04d.tar", maxcount=4, verbose=0) as writer:
        for file in sorted(Path("raw").rglob("*.png")):
            number = ["blue", "green"].index(file.parent.name)
            writer.write({"__key__": file.stem, "png": file.read_bytes(), "cls": number})
    Path("shards/classes.txt").write_text("blue\ngreen\n")
    split("raw", out="a")
    split("shards", out="b")
    assert split_photos("a") == split_photos("b")


def test_a_network_learns_the_same_from_shards_as_from_folders(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit; and what the cache has is not read again."""
    words = ("--arch", "8C3-P2", "--image-size", "16", "--epochs", "2", "--lr", "0.01", "--quiet")
    assert imgcli("split", "raw", "--out", "a", "--ratio", "0.75") == 0
    assert imgcli("train", "--data", "a", "--out", "of-folders", *words) == 0
    shutil.rmtree(".imgcli")  # else nothing would have to be read in the shards
    assert imgcli("split", "shards", "--out", "b", "--ratio", "0.75") == 0
    assert imgcli("train", "--data", "b", "--out", "of-shards", *words) == 0
    for name in ("model.safetensors", "history.csv"):
        assert Path("of-folders/latest", name).read_bytes() == (
            Path("of-shards/latest", name).read_bytes()
        )
    monkeypatch.setattr("imgcli.photos.pipeline.read_photos", None)
    monkeypatch.setattr("imgcli.photos.hashing.read_each", None)
    assert imgcli("train", "--data", "b", "--out", "of-shards", *words, "--seed", "1") == 0
    assert imgcli("evaluate", "--run", "of-shards/latest", "--folds", "3", "--quiet") == 0


def test_a_pattern_means_some_of_the_shards(shards: Path) -> None:
    split("shards/s-00[0-2].tar", duplicates="off", ratio=0.5)
    document = json.loads(Path("dataset/split.json").read_text())
    found = {row["source"].partition("!")[0] for row in document["photos"]}
    assert found == {"s-000.tar", "s-001.tar", "s-002.tar"}
    assert len(load_dataset(Path("dataset")).samples) == 15
    with pytest.raises(DataError, match=r"No folder 'shards/x\*.tar'"):
        split("shards/x*.tar")


# --- later commands -----------------------------------------------------------------------------


def test_every_command_takes_such_a_dataset(shards: Path, shell: Shell) -> None:
    assert imgcli("split", "shards", "--ratio", "0.75", "--seed", "1") == 0
    words = ("--arch", "8C3-P2", "--image-size", "16", "--epochs", "1", "--lr", "0.01")
    assert imgcli("train", *words) == 0
    for line in ("evaluate", "evaluate --folds 3", "suggest-merges", "report", "explain"):
        assert imgcli(*line.split()) == 0, line
    checked = shell.json("check", "dataset")
    assert (checked["photos"], checked["classes"]) == (16, {"blue": 8, "green": 8})
    predicted = shell.json("predict", "dataset")["predictions"]
    assert len(predicted) == 16 and predicted[0]["path"].startswith("shards/s-00")
    assert imgcli("predict", "dataset", "--sort-into", "sorted") == 0
    assert len(list(Path("sorted").rglob("*.png"))) == 16
    assert imgcli("restore", "sorted") == 0 and not Path("sorted").exists()
    assert b"<img" in Path("runs/latest/report.html").read_bytes()


def test_a_run_is_evaluated_on_other_photos_in_place(shards: Path, shell: Shell) -> None:
    for number, name in enumerate(("blue", "green")):
        Path("more", name).mkdir(parents=True)
        for i in range(4):
            picture = coloured_photo(COLOURS[name], 500 + 10 * number + i)
            picture.save(Path("more", name, f"{name}-{i}.png"))
    as_shards(Path("more"), Path("others"))
    split("shards")
    split("others", out="other", ratio=0.5)
    words = ("--arch", "8C3-P2", "--image-size", "16", "--epochs", "1", "--lr", "0.01", "--quiet")
    assert imgcli("train", *words) == 0
    document = shell.json("evaluate", "--data", "other")
    assert (document["on"], document["n"]) == ("other", 4)


def test_a_shard_or_table_is_named_with_what_makes_a_dataset_of_it(shards: Path) -> None:
    for name in ("shards", "shards/s-000.tar"):
        with pytest.raises(DataError, match=f"imgcli split {name}$"):
            check(name)


def test_a_merge_of_such_a_dataset_is_its_manifest(shards: Path) -> None:
    named_apart(write_classes(Path("more"), per_class=8, classes=3))
    as_shards(Path("more"), Path("all"))
    split("all", ratio=0.75)
    Path("elsewhere").mkdir()
    assert imgcli("merge", "blue+green=cold", "dataset", "--out", "elsewhere/fewer") == 0
    assert sorted(os.listdir("elsewhere/fewer")) == ["merge.json", "split.json"]
    merged = load_dataset(Path("elsewhere/fewer")).samples
    assert merged.classes == ("cold", "red") and merged.counts().tolist() == [16, 8]
    assert imgcli("merge", "--undo", "elsewhere/fewer", "--out", "again") == 0
    assert split_photos("again") == split_photos()


def test_the_shards_are_found_from_the_dataset_wherever_a_command_is_typed(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split("shards")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert len(load_dataset(Path("../dataset")).samples) == 16


def test_an_update_keeps_every_photo_in_its_part(shards: Path) -> None:
    split("shards", ratio=0.75)
    before = {row[1]: row[4] for row in split_photos()}
    write_shard(
        shards / "a-new.tar",
        [("n.png", png(coloured_photo((40, 60, 200), 99))), ("n.cls", b"blue")],
    )
    result = split("shards", update=True)
    assert "1 added" in result.notes[0]
    after = {row[1]: row[4] for row in split_photos()}
    assert len(after) == 17 and before.items() <= after.items()
    assert "already" in split("shards", ratio=0.75).notes[-1]


# --- groups -------------------------------------------------------------------------------------


def test_a_pattern_sees_class_and_name_as_in_folders(shards: Path) -> None:
    one = split("raw", group_by=r"^(\w+)/\w+-(\d)", out="a", ratio=0.5, duplicates="off")
    other = split("shards", group_by=r"^(\w+)/\w+-(\d)", out="b", ratio=0.5, duplicates="off")
    assert one.groups == other.groups == 2 and split_photos("a") == split_photos("b")


def test_a_column_of_the_table_itself_names_groups(shards: Path) -> None:
    files = sorted(Path("raw").rglob("*.png"))
    rows = [f"{file},{file.parent.name},p{i // 4}" for i, file in enumerate(files)]
    Path("photos.csv").write_text("\n".join(["path,label,patient", *rows]))
    assert split("photos.csv", group_by="column:patient", duplicates="off").groups == 4


# --- tables -------------------------------------------------------------------------------------


def write_table(suffix: str, rows: Sequence[dict[str, str]]) -> Path:
    file = Path("lists", f"photos{suffix}")
    file.parent.mkdir(exist_ok=True)
    if suffix == ".parquet":
        from pyarrow import Table, parquet

        parquet.write_table(Table.from_pylist(list(rows)), file)
    elif suffix == ".jsonl":
        file.write_text("\n".join(map(json.dumps, rows)))
    else:
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        file.write_text("\n".join(lines))
    return file


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_table_names_photos_and_labels(shards: Path, suffix: str) -> None:
    files = sorted(Path("raw").rglob("*.png"))
    rows = [{"path": f"../{file}", "label": file.parent.name} for file in files]
    result = split(write_table(suffix, rows), ratio=0.75)
    split("raw", ratio=0.75, out="a")
    keep = [(row[1], row[4]) for row in split_photos()]
    assert sorted(keep) == sorted((row[1], row[4]) for row in split_photos("a"))
    assert result.rejected == () and os.listdir("dataset") == ["split.json"]
    assert len(load_dataset(Path("dataset")).samples) == 16


def test_a_table_may_name_members_of_shards(shards: Path) -> None:
    """With labels of its own; the labels in the shards are passed over."""
    split("shards", ratio=0.75, out="a")
    document = json.loads(Path("a/split.json").read_text())
    rows = [{"path": f"shards/{row['source']}", "label": row["path"].split("/")[1][:3]}
            for row in document["photos"]]  # fmt: skip
    rows += [{"path": "shards/s-000.tar!gone.png", "label": "blu"}, rows[0],
             {"path": "shards/none.tar!1.png", "label": "gre"}]  # fmt: skip
    table = Path("photos.csv")
    table.write_text("\n".join(["path,label", *(",".join(row.values()) for row in rows)]))
    result = split(table, ratio=0.75)
    assert sorted(item.reason for item in result.rejected) == [
        "No such file or directory",
        "named a second time for its class",
        "no member of a shard is called so",
    ]
    samples = load_dataset(Path("dataset")).samples
    assert samples.classes == ("blu", "gre") and len(samples) == 16
    assert {(row[1], row[4]) for row in split_photos()} == {
        (row[1], row[4]) for row in split_photos("a")
    }


def test_columns_and_root_of_a_table_can_be_named(shards: Path) -> None:
    files = sorted(Path("raw").rglob("*.png"))
    rows = [{"a": str(file.relative_to("raw")), "b": file.parent.name} for file in files]
    table = write_table(".csv", rows)
    split(table, path_column="a", label_column="b", root="raw")
    assert len(load_dataset(Path("dataset")).samples) == 16
    with pytest.raises(WrongUsage, match=r"are for tables; 'raw' is a folder"):
        split("raw", label_column="b")
    with pytest.raises(WrongUsage, match="are for tables"):
        split("shards", label_column="b")


def test_photos_that_a_table_names_in_vain_are_listed(shards: Path) -> None:
    files = sorted(Path("raw").rglob("*.png"))
    rows = [{"path": str(file.absolute()), "label": file.parent.name} for file in files]
    rows += [rows[0], {"path": "gone.png", "label": "blue"}, {"path": "x.png", "label": ""}]
    result = split(write_table(".csv", rows))
    reasons = {item.reason for item in result.rejected}
    assert "named a second time for its class" in reasons and "its label is empty" in reasons
    assert any("No such file" in reason for reason in reasons) and len(result.rejected) == 3


# --- what a shard may hold ----------------------------------------------------------------------


def rejected_of(members: Sequence[tuple[str, bytes]], **choices: Any) -> dict[str, str]:
    write_shard(Path("shards/odd.tar"), members)
    result: Any = split("shards", **choices)
    return {item.path: item.reason for item in result.rejected}


def test_samples_that_cannot_be_used_are_listed(shards: Path) -> None:
    some = [photo(900 + i) for i in range(5)]
    found = rejected_of(
        [
            ("a.png", some[0]),  # no label
            ("b.cls", b"blue"),  # no photo
            ("c.png", some[1]),
            ("c.jpg", some[2]),  # a second photo
            ("c.cls", b"blue"),
            ("d.png", b"<html>no photo</html>"),
            ("d.cls", b"blue"),
            ("e.png", some[3]),
            ("e.cls", b"blue"),
            ("f.cls", b"blue"),
            ("f.png", b""),
            ("e.png", some[4]),  # once more
            ("e.cls", b"green"),
        ]
    )
    assert found == {
        "odd.tar!a.png": "no .cls, .json or .txt of its key beside it",
        "odd.tar!b.cls": "no photo of its key beside it",
        "odd.tar!c.jpg": "a second photo of its key",
        "odd.tar!d.png": found["odd.tar!d.png"],
        "odd.tar!e.png": "a second photo of that name in its shard",
        "odd.tar!f.png": EMPTY,
    }
    assert "is not a picture" in found["odd.tar!d.png"]
    assert len(split_photos()) == 18


def test_a_shard_that_is_cut_short_gives_what_is_before_the_cut(shards: Path) -> None:
    data = (shards / "s-003.tar").read_bytes()
    with tarfile.open(shards / "s-003.tar") as tar:
        (last,) = tar.getmembers()[-2:-1]
    (shards / "s-003.tar").write_bytes(data[: last.offset_data + 10])
    (shards / "s-001.tar").write_bytes(b"no tar at all" * 99)
    result = split("shards")
    reasons = {item.path: item.reason for item in result.rejected}
    assert reasons["s-001.tar"] == "no tar, or damaged; none of its photos is used"
    assert any(path.startswith("s-003.tar") for path in reasons)
    assert len(split_photos()) == 10


def test_equal_names_in_two_shards_are_two_photos() -> None:
    for name, colours in (("a", (0, 1)), ("b", (2, 3))):
        write_shard(
            Path("shards", f"{name}.tar"),
            [
                (f"{key}.{end}", data)
                for key, number in zip("01", colours, strict=True)
                for end, data in (
                    ("png", photo(number)),
                    ("cls", ("cat", "dog")[int(key)].encode()),
                )
            ],
        )
    split("shards", duplicates="exact", ratio=0.5)
    names = {row[0].split("/", 1)[1] for row in split_photos()}
    assert names == {"cat/0.png", "dog/1.png", "cat/b.tar!0.png", "dog/b.tar!1.png"}
    assert len(load_dataset(Path("dataset")).samples) == 4


@pytest.mark.parametrize(
    ("name", "text", "classes"),
    [
        (None, "", ["0", "1"]),
        ("classes.txt", "cat\ndog\n", ["cat", "dog"]),
        ("classes.json", '["cat", "dog"]', ["cat", "dog"]),
        ("classes.json", '{"cat": 0, "dog": 1}', ["cat", "dog"]),
        ("classes.json", '{"0": "cat", "1": "dog"}', ["cat", "dog"]),
    ],
)
def test_numbers_are_classes_unless_a_file_names_them(
    name: str | None, text: str, classes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    members = [(f"{i}.{end}", data) for i in range(4)
               for end, data in (("png", photo(i)), ("cls", b"%d" % (i % 2)))]  # fmt: skip
    write_shard(Path("shards/0.tar"), members)
    if name:
        Path("shards", name).write_text(text)
    assert sorted(split("shards", duplicates="off", ratio=0.5).classes) == classes
    said = capsys.readouterr().err
    assert ("Labels are numbers" in said) == (name is None)


@pytest.mark.parametrize(
    ("text", "message"),
    [("cat\n", "none for the label 1"), ("cat\ncat\n", "gives two labels the name 'cat'")],
)
def test_a_list_of_classes_that_does_not_fit_is_refused(text: str, message: str) -> None:
    members = [(f"{i}.{end}", data) for i in range(2)
               for end, data in (("png", photo(i)), ("cls", b"%d" % i))]  # fmt: skip
    write_shard(Path("shards/0.tar"), members)
    Path("shards/classes.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        split("shards")


# --- what has changed since ---------------------------------------------------------------------


def test_a_photo_whose_bytes_changed_is_listed_and_refused(shards: Path) -> None:
    split("shards")
    with tarfile.open(shards / "s-002.tar") as tar:
        member = tar.getmembers()[0]
    with open(shards / "s-002.tar", "r+b") as file:
        file.seek(member.offset_data + 60)
        file.write(b"other")
    path = next(row["path"] for row in json.loads(Path("dataset/split.json").read_text())["photos"]
                if row["source"] == f"s-002.tar!{member.name}")  # fmt: skip
    with pytest.raises(DataError, match=rf"1 changed: '{path}'\. .*split shards .*--update"):
        load_dataset(Path("dataset"))


def test_a_shard_that_is_gone_or_shorter_is_refused(shards: Path) -> None:
    split("shards")
    data = (shards / "s-000.tar").read_bytes()
    (shards / "s-000.tar").write_bytes(data[:600])
    with pytest.raises(DataError, match="5 went missing or cannot be read"):
        load_dataset(Path("dataset"))
    (shards / "s-000.tar").unlink()
    with pytest.raises(DataError, match="5 went missing or cannot be read"):
        load_dataset(Path("dataset"))


# --- refusals -----------------------------------------------------------------------------------


def test_nothing_is_moved_or_linked_where_photos_are_in_place(shards: Path, shell: Shell) -> None:
    before = {file: file.read_bytes() for file in shards.iterdir()}
    with pytest.raises(
        WrongUsage, match=r"--link copy places photos.* imgcli import shards/\*.tar"
    ):
        split("shards", link="copy")
    split("shards")
    code, _, said = shell("check", "dataset", "--fix", "duplicates")
    assert code == 1 and "nothing is moved there" in said and "imgcli import shards/*.tar" in said
    plan = ["folder,path,label,new_label", "shards,s-000.tar!blue-00.png,blue,green"]
    Path("plan.csv").write_text("\n".join(plan))
    code, _, said = shell("check", "--fix", "plan.csv")
    assert code == 1 and "Correct the labels there" in said
    assert before == {file: file.read_bytes() for file in shards.iterdir()}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("packed.tar.gz", "is compressed, so its photos cannot be read in place"),
        ("photos.zip", "is an archive that cannot be split in place"),
        ("other.bin", "is a file that cannot be split in place"),
        ("folders.tar", "holds no WebDataset samples"),
        ("empty.tar", "holds no WebDataset samples"),
    ],
)
def test_what_cannot_be_read_in_place_is_refused(shards: Path, name: str, message: str) -> None:
    if name == "packed.tar.gz":
        with tarfile.open(name, "w:gz") as tar:
            tar.add(shards)
    elif name == "folders.tar":
        write_shard(Path(name), {f"{label}/{i}.png": photo(i) for label in "ab" for i in range(2)})
    elif name == "empty.tar":
        write_shard(Path(name), {})
    else:
        Path(name).write_bytes(b"PK\x03\x04" if name == "photos.zip" else b"\0" * 99)
    with pytest.raises(ImgcliError, match=message):
        split(name)


def test_a_dataset_may_not_be_among_the_shards(shards: Path) -> None:
    with pytest.raises(StorageError, match="is inside 'shards'"):
        split("shards", out="shards/dataset")


def test_a_manifest_of_photos_in_a_folder_stays_in_the_folder(shards: Path) -> None:
    split("raw")
    document = json.loads(Path("dataset/split.json").read_text())
    document["photos"][0]["source"] = "../secret.png"
    Path("dataset/split.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="outside the folder that was split"):
        load_dataset(Path("dataset"))
