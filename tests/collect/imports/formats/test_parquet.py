import builtins
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcli.collect.imports.formats.parquet import parquet_source
from imgcli.collect.imports.formats.source import Reading
from imgcli.collect.imports.run import import_photos
from imgcli.errors import DataError, Refused
from tests.support.photos import photo
from tests.support.trees import make_tree, tree

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def hugging_face(
    path: Path, rows: list[tuple[dict[str, Any] | None, int | None]], names: list[str], **more: Any
) -> Path:
    """A file as `datasets` writes it: photos as structs, labels as numbers of named classes."""
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    columns = {
        "image": pa.array([image for image, _ in rows], IMAGE),
        "label": pa.array([label for _, label in rows], pa.int64()),
    }
    table = pa.table(columns).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(table, path, **more)
    return path


def image(number: int, name: str | None = None) -> dict[str, Any]:
    return {"bytes": photo(number), "path": name}


def test_photos_in_a_file_of_hugging_face_come_out_as_they_are(tmp_path: Path) -> None:
    rows = [(image(1, "x/1.png"), 0), (image(2), 1), (image(3), 1)]
    source = hugging_face(tmp_path / "train.parquet", rows, ["crab", "lobster"])
    result = import_photos([source], tmp_path / "out")
    assert tree(tmp_path / "out") == {
        "crab/1.png": photo(1),
        "lobster/train-[1].png": photo(2),
        "lobster/train-[2].png": photo(3),
    }
    assert result.rejected == ()


def test_rows_that_cannot_serve_are_listed(tmp_path: Path) -> None:
    rows = [
        (image(1), 0),
        (image(2), -1),
        (image(3), None),
        (None, 0),
        ({"bytes": b"<html>", "path": None}, 0),
        ({"bytes": None, "path": "here.png"}, 1),
        ({"bytes": None, "path": None}, 1),
    ]
    make_tree(tmp_path, {"here.png": photo(9)})
    source = hugging_face(tmp_path / "x.parquet", rows, ["crab", "lobster"])
    result = import_photos([source], tmp_path / "out")
    assert tree(tmp_path / "out") == {"crab/x-[0].png": photo(1), "lobster/here.png": photo(9)}
    assert [(r.path[len(str(source)) :], r.reason) for r in result.rejected] == [
        ("[1]", "its label is -1, which names no class"),
        ("[2]", "it has no label"),
        ("[3]", "names no photo"),
        ("[4]", "an HTML page"),
        ("[6]", "names no photo"),
    ]


def test_columns_of_any_name_and_bytes_without_a_struct(tmp_path: Path) -> None:
    columns = {"id": [1, 2], "jpg": [photo(1), photo(2)], "species": ["crab", "lobster"]}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    import_photos([tmp_path / "x.parquet"], tmp_path / "out")
    assert tree(tmp_path / "out") == {"crab/x-[0].png": photo(1), "lobster/x-[1].png": photo(2)}
    pq.write_table(pa.table({"file": ["3.png"], "kind": ["a"]}), tmp_path / "y.parquet")
    make_tree(tmp_path, {"3.png": photo(3)})
    import_photos([tmp_path / "y.parquet"], tmp_path / "out", reading=Reading(label_column="kind"))
    assert tree(tmp_path / "out")["a/3.png"] == photo(3)


def test_a_table_without_labels_names_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [photo(1)], "kind": ["a"]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"looks like labels.*it has 'image' and 'kind'"):
        import_photos([tmp_path / "x.parquet"], tmp_path / "out")


def test_a_damaged_file_is_a_sentence_or_a_list(tmp_path: Path) -> None:
    rows = [(image(n), 0) for n in range(200)]
    source = hugging_face(tmp_path / "x.parquet", rows, ["crab"], row_group_size=20)
    raw = source.read_bytes()
    source.write_bytes(raw[:-10])
    with pytest.raises(DataError, match=r"x.parquet' is neither a folder|damaged or no Parquet"):
        import_photos([source], tmp_path / "out")
    source.write_bytes(raw[:3000] + b"\xff" * 500 + raw[3500:])
    result = import_photos([source], tmp_path / "out")
    assert result.added > 0
    assert any("damaged after row" in r.reason for r in result.rejected)


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = hugging_face(tmp_path / "x.parquet", [(image(1), 0)], ["crab"])
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Refused, match=r"pip install 'imgcli\[parquet\]'"):
        import_photos([source], tmp_path / "out")


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        many = [({"bytes": photo(n) + bytes(50_000), "path": None}, 0) for n in range(rows)]
        source = hugging_face(tmp_path / "x.parquet", many, ["crab"], row_group_size=50)
        del many
        tracemalloc.start()
        pool = pa.default_memory_pool()
        before = pool.bytes_allocated()
        try:
            most = 0
            for item in parquet_source(source, Reading()).photos():
                item.read()  # type: ignore[union-attr]
                most = max(most, pool.bytes_allocated() - before)
            return most + tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(400) < 1.3 * peak(100)
