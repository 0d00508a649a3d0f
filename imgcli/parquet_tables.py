"""Parquet tables: their columns, rows, and which column holds photos. Needs pyarrow.

image: struct<bytes: binary, path: string>    the photo, or the path of it
label: int64                                  its name is in the schema's b"huggingface"
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from imgcli.errors import DataError, Refused
from imgcli.reading import open_regular
from imgcli.remote.path import RemotePath

SUFFIX = ".parquet"
MAGIC = b"PAR1"
ROWS = 16  # read at a time: some may have 100 MB
BUFFER = 4 << 20  # bytes of a column
SAMPLE = 200  # rows that tell what a column holds


def is_parquet(path: Path) -> bool:
    """Whether a file begins as a Parquet file does."""
    with open_regular(path) as file:
        return file.read(len(MAGIC)) == MAGIC


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file whose schema has been read."""

    path: Path
    schema: Any
    count: int  # rows
    features: Mapping[str, Mapping[str, Any]]  # that Hugging Face's datasets wrote, by column
    image: str | None  # the column with photos in it

    @property
    def names_photos(self) -> bool:
        """Whether a path stands beside each photo."""
        if self.image is None:
            return False
        kind = self.schema.field(self.image).type
        return str(kind).startswith("struct<") and "path" in {field.name for field in kind}

    def sample(self) -> list[dict[str, Any]]:
        """The first rows, without the photos in them."""
        return _sample(self.path, self.schema, self.image)

    def rows(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows with these columns."""
        return rows_of(self.path, columns)


def open_parquet(path: Path) -> ParquetTable:
    """Read the schema of a Parquet file.

    Raises:
        Refused: pyarrow is not installed.
        DataError: a damaged file.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise Refused(
            "Parquet tables need pyarrow. Get it with: pip install 'imgcli[parquet]'"
        ) from None
    try:
        with _opened(pq, path) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        raise DataError(f"'{path}' is damaged or no Parquet file ({first_line(error)}).") from None
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


def _sample(path: Path, schema: Any, image: str | None) -> list[dict[str, Any]]:
    """The first rows, without the photos in them."""
    empty = dict.fromkeys(schema.names)
    columns = [name for name in schema.names if name != image]
    try:
        rows = list(rows_of(path, columns, SAMPLE)) if columns else []
    except (OSError, ValueError):  # damage is told when the rows are read
        rows = []
    return [{**empty, **row} for row in rows] or [empty]


def rows_of(
    path: Path, columns: Sequence[str], most: int | None = None
) -> Iterator[dict[str, Any]]:
    """The rows with these columns, the first `most` of them."""
    import pyarrow.parquet as pq

    with _opened(pq, path) as file:
        batches = file.iter_batches(ROWS, columns=list(columns))
        yield from islice((row for batch in batches for row in batch.to_pylist()), most)


@contextmanager
def _opened(pq: Any, path: Path) -> Iterator[Any]:
    """A Parquet file; of one behind a URI a little is read at a time."""
    if not isinstance(path, RemotePath):
        with pq.ParquetFile(path) as file:
            yield file
        return
    with open_regular(path) as raw, pq.ParquetFile(raw, buffer_size=BUFFER) as file:
        yield file


def first_line(error: Exception) -> str:
    """What pyarrow says, without its details."""
    return str(error).splitlines()[0]
