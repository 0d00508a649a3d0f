"""`imgcli import hf://datasets/owner/name`: the forms that data sets have on the hub."""

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcli.remote import storage
from tests.support.fake_hub import FakeHub, Repo, asked_by, oid
from tests.support.photos import photo
from tests.support.shell import Shell
from tests.support.trees import TWO_CLASSES, make_zip, provenance_lines, tree

pytestmark = pytest.mark.usefixtures("here")
OWLS = "hf://datasets/lab/owls"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    monkeypatch.setattr(storage, "FIRST_PAUSE", 0.01)
    with asked_by(monkeypatch, tmp_path / "cache") as hub:
        yield hub


def publish(hub: FakeHub, files: dict[str, bytes], name: str = "lab/owls") -> Repo:
    repo = hub.repos.setdefault(f"datasets/{name}", Repo())
    repo.commit({"README.md": b"# Owls", ".gitattributes": b"", **files})
    return repo


def parquet(first: int) -> bytes:
    """Two photos, as the hub has them: their labels are numbers whose names are in the schema."""
    names = '{"info": {"features": {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", '
    names += '"names": ["barn", "snowy"]}}}}'
    rows = [{"bytes": photo(n), "path": f"{n}.png"} for n in (first, first + 1)]
    table = pa.table({"image": rows, "label": [0, 1]})
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": names}), file)
    return file.getvalue()


def test_class_folders_on_the_hub_are_those_of_a_disk(shell: Shell, hub: FakeHub) -> None:
    publish(hub, {f"images/{name}": data for name, data in TWO_CLASSES.items()})
    done = shell.json("import", OWLS)
    assert (done["added"], done["classes"]) == (4, {"a": 2, "b": 2})
    assert tree(Path("raw")) == TWO_CLASSES
    line = provenance_lines(Path("raw"))[0]
    assert line["origin"] == f"{OWLS}/images/a/1.png" and line["etag"]
    hub.log.clear()
    assert shell.json("import", OWLS)["skipped"] == 4
    assert not [asked for asked in hub.log if "/resolve/" in asked]


def test_parquet_shards_are_taken_with_their_parts(shell: Shell, hub: FakeHub) -> None:
    shards = {"train-00000-of-00002": 0, "train-00001-of-00002": 2, "test-00000-of-00001": 4}
    publish(hub, {f"data/{name}.parquet": parquet(first) for name, first in shards.items()})
    done = shell.json("import", OWLS, "--keep-split")
    assert (done["parts"], done["classes"]) == ({"train": 4, "test": 2}, {"barn": 3, "snowy": 3})
    done = shell.json("import", f"{OWLS}/data/train-*", "--out", "train only")
    assert done["added"] == 4


def test_several_configurations_are_named_to_choose_from(shell: Shell, hub: FakeHub) -> None:
    publish(hub, {f"{name}/train-0.parquet": parquet(0) for name in ("small", "whole")})
    code, _, err = shell("import", OWLS)
    assert code == 2
    assert f"imgcli import {OWLS}/small or imgcli import {OWLS}/whole" in err


def test_an_archive_in_a_data_set_is_read(shell: Shell, hub: FakeHub, tmp_path: Path) -> None:
    publish(hub, {"owls.zip": make_zip(tmp_path / "owls.zip", TWO_CLASSES).read_bytes()})
    assert shell.json("import", OWLS)["added"] == 4
    assert tree(Path("raw")) == TWO_CLASSES


def test_a_data_set_is_read_at_one_commit(shell: Shell, hub: FakeHub) -> None:
    repo = publish(hub, TWO_CLASSES)
    first = shell.json("import", f"{OWLS}@main")
    assert first["added"] == 4
    read = [asked for asked in hub.log if "/resolve/" in asked]
    assert len(read) == 4 and all(f"/resolve/{oid(0)}/" in asked for asked in read)
    assert provenance_lines(Path("raw"))[0]["origin"] == f"{OWLS}@main/a/1.png"
    repo.commit({"a/1.png": photo(77), "a/9.png": photo(9)})
    done = shell.json("import", f"{OWLS}@main")
    assert done["added"] == 1
    (rejected,) = done["rejected"][-1:]
    assert "changed since it was imported" in rejected["reason"]


@pytest.mark.parametrize("top", [OWLS, f"{OWLS}@v1", f"{OWLS}@refs/convert/parquet", "hf://a/b"])
def test_a_revision_may_have_steps_of_its_own(top: str) -> None:
    with storage.connecting():
        found = storage.storage_of(f"{top}/data/x.parquet")
    assert isinstance(found, storage.Storage) and found.top == top


def refused(shell: Shell, *words: str) -> str:
    code, out, err = shell("import", *words)
    assert (code, out, err.count("\n")) == (1, "", 1)
    return err


def test_what_the_hub_refuses_is_said(
    shell: Shell, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, TWO_CLASSES).gated = True
    assert "There is no 'hf://datasets/lab/owl' on the hub." in refused(
        shell, "hf://datasets/lab/owl"
    )
    with monkeypatch.context() as offline:
        offline.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        assert "Unset HF_HUB_OFFLINE" in refused(shell, OWLS)
    assert "has no such revision" in refused(shell, f"{OWLS}@v9")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "none")
    said = refused(shell, OWLS)
    assert f"'{OWLS}' is gated. Ask for access" in said and "HF_TOKEN" in said
    assert "if it is private, set HF_TOKEN" in refused(shell, "hf://datasets/lab/owl")


def test_a_hub_that_fails_for_a_while_is_asked_again(shell: Shell, hub: FakeHub) -> None:
    publish(hub, TWO_CLASSES)
    hub.faults["file"] = 503
    assert "does not answer as it should" in refused(shell, OWLS)
    del hub.faults["file"]
    assert shell.json("import", OWLS)["added"] == 4
