"""Parquet tables: paths and labels, or the photos' own bytes as Hugging Face's datasets have them.

image: struct<bytes: binary, path: string>    the photo, or the path of it
label: int64                                  its name is in the schema's b"huggingface"
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from imgcli.collect.imports.formats.source import Kind, LabelledPhotos, Reading, Source
from imgcli.collect.imports.formats.tables import (
    SAMPLE,
    Columns,
    find_columns,
    photo_of,
    refuse_long,
)
from imgcli.collect.imports.labelled_photo import LabelledPhoto, read_photo
from imgcli.collect.imports.survey import split_into
from imgcli.errors import DataError, Refused
from imgcli.photo_files import PhotoFiles
from imgcli.records import Rejected
from imgcli.tables import label_text

MAGIC = b"PAR1"
ROWS = 16  # read at a time: some may have 100 MB


def parquet_source(path: Path, reading: Reading) -> Source:
    """The photos in a Parquet file, or at the paths in it.

    Raises:
        Refused: pyarrow is not installed.
        DataError: a damaged file, or one without the columns.
    """
    table = open_table(path)
    schema, count, features, image = table.schema, table.count, table.features, table.image
    labels = [n for n in schema.names if features.get(n, {}).get("_type") == "ClassLabel"]
    if len(labels) == 1 and reading.label_column is None:
        reading = replace(reading, label_column=labels[0])
    files = PhotoFiles(reading.root or path.parent, reading.path_template)
    columns = find_columns(path, table.sample(), reading, files, image)
    names = features.get(columns.label or "", {}).get("names")
    rows = _Table(path, columns, reading, files, names)
    return Source(path, Kind.PARQUET, rows.photos, count, path.stat().st_size, rows.parts())


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file whose schema has been read."""

    path: Path
    schema: Any
    count: int  # rows
    features: Mapping[str, Mapping[str, Any]]  # that Hugging Face's datasets wrote, by column
    image: str | None  # the column with photos in it

    def sample(self) -> list[dict[str, Any]]:
        """The first rows, without the photos in them."""
        return _sample(self.path, self.schema, self.image)

    def rows(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows with these columns."""
        return _rows(self.path, columns)


def open_table(path: Path) -> ParquetTable:
    """Read the schema of a Parquet file.

    Raises:
        Refused: pyarrow is not installed.
        DataError: a damaged file, or one with too many rows.
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
    return ParquetTable(path, schema, count, features, image)


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


@dataclass(frozen=True)
class _Table:
    path: Path
    columns: Columns
    reading: Reading
    files: PhotoFiles
    names: list[str] | None  # of the classes, by label

    def photos(self) -> LabelledPhotos:
        number = 0
        columns = [name for name in self._names() if name is not None]
        try:
            for number, cells in enumerate(_rows(self.path, columns)):
                yield self._labelled_photo(f"{self.path}[{number}]", cells)
        except (OSError, ValueError) as error:
            yield Rejected(str(self.path), f"damaged after row {number} ({_line(error)})")

    def parts(self) -> tuple[str, ...]:
        """The parts of the rows, by a column or the name of the file."""
        if self.columns.part is None:
            return (self.columns.part_of_all,) if self.columns.part_of_all else ()
        found = {self.columns.part_of(cells) for cells in _rows(self.path, [self.columns.part])}
        return split_into(found) or tuple(sorted(found - {""}))

    def _names(self) -> tuple[str | None, ...]:
        if self.reading.path_template or self.columns.one_hot:
            return (*self.columns.one_hot, self.columns.photo, self.columns.part)
        return self.columns.photo, self.columns.label, self.columns.part

    def _labelled_photo(self, where: str, cells: dict[str, Any]) -> LabelledPhoto | Rejected:
        photo = cells[self.columns.photo]
        data, name = photo, None
        if isinstance(photo, dict):
            data, name = photo.get("bytes"), photo.get("path")
        label = self.columns.label
        try:
            if label is not None and self.names is not None:
                cells[label] = _label_name(cells[label], self.names)
            if not isinstance(data, bytes):
                cells[self.columns.photo] = name if isinstance(photo, dict) else photo
                return photo_of(self.path, where, cells, self.columns, self.reading, self.files)
            text = self.columns.label_of(cells, self.reading.multi)
        except ValueError as reason:
            return Rejected(where, str(reason))
        stem = f"{self.path.stem}-{where[len(str(self.path)) :]}"
        name = Path(name).name if isinstance(name, str) else stem
        part = self.columns.part_of(cells)
        return LabelledPhoto(text, name, where, lambda: read_photo(io.BytesIO(data)), part)


def _sample(path: Path, schema: Any, image: str | None) -> list[dict[str, Any]]:
    """The first rows, without the photos in them."""
    empty = dict.fromkeys(schema.names)
    columns = [name for name in schema.names if name != image]
    try:
        rows = list(_rows(path, columns, SAMPLE)) if columns else []
    except (OSError, ValueError):  # damage is told when the rows are read
        rows = []
    return [{**empty, **row} for row in rows] or [empty]


def _rows(path: Path, columns: Sequence[str], most: int | None = None) -> Iterator[dict[str, Any]]:
    """The rows with these columns, the first `most` of them."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        batches = file.iter_batches(ROWS, columns=list(columns))
        yield from islice((row for batch in batches for row in batch.to_pylist()), most)


def _label_name(label: Any, names: list[str]) -> str:
    """The class of a label's number, where the schema names the classes."""
    if not isinstance(label, int):
        return label_text(label)
    if not 0 <= label < len(names):  # -1 is what the hidden labels of a test part have
        raise ValueError(f"its label is {label}, which names no class")
    return label_text(names[label])


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
