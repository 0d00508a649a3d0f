"""Parquet tables: paths and labels, or the photos' own bytes as Hugging Face's datasets have them.

image: struct<bytes: binary, path: string>    the photo, or the path of it
label: int64                                  its name is in the schema's b"huggingface"
"""

import io
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from imgcli.collect.imports.formats.source import Kind, LabelledPhotos, Reading, Source
from imgcli.collect.imports.formats.tables import (
    Columns,
    files_of,
    find_columns,
    photo_of,
    refuse_long,
    table_source,
)
from imgcli.collect.imports.labelled_photo import LabelledPhoto, read_photo
from imgcli.collect.imports.survey import split_into
from imgcli.errors import WrongUsage
from imgcli.parquet_tables import first_line, open_parquet, rows_of
from imgcli.photo_files import PhotoFiles
from imgcli.records import Rejected
from imgcli.remote.path import RemotePath, etag_of
from imgcli.tables import label_text


def parquet_source(path: Path, reading: Reading) -> Source:
    """The photos in a Parquet file, or at the paths in it.

    Raises:
        Refused: pyarrow is not installed.
        DataError: a damaged file, or one without the columns.
        WrongUsage: tables are to be joined to photos that are in the file.
    """
    table = open_parquet(path)
    refuse_long(path, table.count)
    if reading.join:
        if table.image is not None:
            raise WrongUsage(
                f"--join is for tables of photos' paths; '{path}' holds the photos themselves. "
                "Leave it out, and name the classes with --rename FILE."
            )
        return table_source(path, reading)
    schema, count, features, image = table.schema, table.count, table.features, table.image
    labels = [n for n in schema.names if features.get(n, {}).get("_type") == "ClassLabel"]
    if len(labels) == 1 and reading.label_column is None:
        reading = replace(reading, label_column=labels[0])
    if image is not None and isinstance(path, RemotePath):  # nothing beside it is to be listed
        files = PhotoFiles(path.parent, reading.path_template, names=())
    else:
        files = files_of(path, reading)
    columns = find_columns(path, table.sample(), reading, files, image)
    names = features.get(columns.label or "", {}).get("names")
    rows = _Table(path, columns, reading, files, names)
    return Source(path, Kind.PARQUET, rows.photos, count, path.stat().st_size, rows.parts())


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
            for number, cells in enumerate(rows_of(self.path, columns)):
                yield self._labelled_photo(f"{self.path}[{number}]", cells)
        except (OSError, ValueError) as error:
            yield Rejected(str(self.path), f"damaged after row {number} ({first_line(error)})")

    def parts(self) -> tuple[str, ...]:
        """The parts of the rows, by a column or the name of the file."""
        if self.columns.part is None:
            return (self.columns.part_of_all,) if self.columns.part_of_all else ()
        found = {self.columns.part_of(cells) for cells in rows_of(self.path, [self.columns.part])}
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
        read = partial(_photo_in, data)
        return LabelledPhoto(text, name, where, read, part, etag=etag_of(self.path))


def _photo_in(data: bytes) -> bytes:
    return read_photo(io.BytesIO(data))


def _label_name(label: Any, names: list[str]) -> str:
    """The class of a label's number, where the schema names the classes."""
    if not isinstance(label, int):
        return label_text(label)
    if not 0 <= label < len(names):  # -1 is what the hidden labels of a test part have
        raise ValueError(f"its label is {label}, which names no class")
    return label_text(names[label])
