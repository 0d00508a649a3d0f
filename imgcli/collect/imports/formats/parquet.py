"""Parquet tables: paths and labels, or the photos' own bytes as Hugging Face's datasets have them.

image: struct<bytes: binary, path: string>    the photo, or the path of it
label: int64                                  its name is in the schema's b"huggingface"
"""

import io
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from imgcli.collect.imports.formats.source import Kind, LabelledPhotos, Reading, Source
from imgcli.collect.imports.formats.tables import find_columns, photo_of, refuse_long
from imgcli.collect.imports.labelled_photo import LabelledPhoto, read_photo
from imgcli.collect.imports.tables import label_text
from imgcli.errors import DataError, Refused
from imgcli.records import Rejected

MAGIC = b"PAR1"
ROWS = 16  # read at a time: some may have 100 MB


def parquet_source(path: Path, reading: Reading) -> Source:
    """The photos in a Parquet file, or at the paths in it.

    Raises:
        Refused: pyarrow is not installed.
        DataError: a damaged file, or one without the columns.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise Refused(
            "Parquet tables need pyarrow. Get it with: pip install 'imgcli[parquet]'"
        ) from None
    try:
        with pq.ParquetFile(path) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        raise DataError(f"'{path}' is damaged or no Parquet file ({_line(error)}).") from None
    refuse_long(path, count)
    features = _features(schema.metadata or {})
    image = next((name for name in schema.names if _holds_photos(schema, name, features)), None)
    labels = [n for n in schema.names if features.get(n, {}).get("_type") == "ClassLabel"]
    if len(labels) == 1 and reading.label_column is None:
        reading = Reading(path_column=reading.path_column, label_column=labels[0])
    columns = find_columns(path, schema.names, reading, image)
    class_names = features.get(columns[1], {}).get("names")
    photos = partial(_photos, path, columns, class_names)
    return Source(path, Kind.PARQUET, photos, count, path.stat().st_size)


def _features(metadata: Mapping[bytes, bytes]) -> dict[str, dict[str, Any]]:
    """The features that Hugging Face's datasets wrote per column; empty without them."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: what for name, what in features.items() if isinstance(what, dict)}
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _holds_photos(schema: Any, name: str, features: Mapping[str, Mapping[str, Any]]) -> bool:
    kind = schema.field(name).type
    a_struct = str(kind).startswith("struct<") and "bytes" in {field.name for field in kind}
    return a_struct or features.get(name, {}).get("_type") == "Image" or "binary" in str(kind)


def _photos(path: Path, columns: tuple[str, str], names: list[str] | None) -> LabelledPhotos:
    number = 0
    try:
        for number, (photo, label) in enumerate(_rows(path, columns)):
            where = f"{path}[{number}]"
            yield _labelled_photo(path, where, photo, partial(_label_name, label, names))
    except (OSError, ValueError) as error:
        yield Rejected(str(path), f"damaged after row {number} ({_line(error)})")


def _rows(path: Path, columns: tuple[str, str]) -> Iterator[tuple[Any, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS, columns=list(columns)):
            cells = batch.to_pydict()
            yield from zip(*(cells[column] for column in columns), strict=True)


def _labelled_photo(path: Path, where: str, photo: Any, label: Any) -> LabelledPhoto | Rejected:
    data, name = photo, None
    if isinstance(photo, dict):
        data, name = photo.get("bytes"), photo.get("path")
    if not isinstance(data, bytes):
        return photo_of(path, where, name if isinstance(photo, dict) else photo, label)
    name = Path(name).name if isinstance(name, str) else f"{path.stem}-{where[len(str(path)) :]}"
    try:
        return LabelledPhoto(label(), name, where, lambda: read_photo(io.BytesIO(data)))
    except ValueError as reason:
        return Rejected(where, str(reason))


def _label_name(label: Any, names: list[str] | None) -> str:
    """The class of a label's number, where the schema names the classes."""
    if names is None or not isinstance(label, int):
        return label_text(label)
    if not 0 <= label < len(names):  # -1 is what the hidden labels of a test part have
        raise ValueError(f"its label is {label}, which names no class")
    return label_text(names[label])


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
