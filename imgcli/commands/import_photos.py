"""`imgcli.import_photos`: labelled photos from folders, archives and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgcli.commands.results import Result
from imgcli.folder_names import Levels

if TYPE_CHECKING:
    from imgcli.records import Rejected

OnConflict = Literal["keep", "first", "skip", "error"]
Multi = Literal["skip", "first"]


@dataclass(frozen=True, repr=False)
class ImportResult(Result):
    """Class folders with the photos of all sources."""

    _keys = (
        *("out", "added", "skipped", "duplicates", "rejected", "classes", "conflicts", "parts"),
        "too_large",
    )

    out: Path
    added: int
    skipped: int  # exact duplicates of photos that their class has or had
    duplicates: tuple[tuple[str, str], ...]  # those twice in the sources: origin, path of the first
    rejected: "tuple[Rejected, ...]"
    classes: Mapping[str, int]  # photos per class in the whole of `out`
    conflicts: tuple[tuple[str, ...], ...]  # paths of one photo in several classes
    parts: Mapping[str, int] | None  # photos per part, with `keep_split`
    notes: tuple[str, ...]  # sentences about anything unexpected
    too_large: tuple[tuple[str, int], ...] = ()  # photos that no command decodes: path, pixels

    def to_json(self) -> dict[str, Any]:
        document = super().to_json()
        if self.parts is None:
            del document["parts"]
        return document


def import_photos(
    sources: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    label_from: str | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    keep_split: bool = False,
    classes_at: str | int | None = None,
    parts: Mapping[str, str] | Sequence[str] = (),
    root: str | Path | None = None,
    path_template: str | None = None,
    join: Sequence[str | Path] = (),
    multi: Multi = "skip",
    encoding: str | None = None,
    rename: Mapping[str, str] | Sequence[str] = (),
    only: Sequence[str] = (),
    limit: int | None = None,
    on_conflict: OnConflict = "keep",
    allow_host: Sequence[str] = (),
    seed: int = 0,
    force: bool = False,
) -> ImportResult:
    """Copy labelled photos into `out`/<class>/; the sources are only read.

    Args:
        sources: folders, archives, tables, patterns such as "shards/*.tar", or their URIs:
            s3://, gs://, hf://, az:// and https://.
        out: raw by default; with `keep_split` dataset.
        label_from: regular expression that finds the class in a photo's path.
        path_column: column of a table with the photos' paths.
        label_column: column of a table with the classes.
        keep_split: keep the train, val and test parts of the sources.
        classes_at: the level of the class folders below a source, or a pattern of them.
        parts: the part that each folder name means, {"learn": "train", "exam": "test"}; or
            ["none"], which mixes the parts.
        root: the folder that the paths in a table are below; by default the table's own.
        path_template: a photo's path in the root, of a row's cells: "{id}.jpg".
        join: further tables, each joined to the table by a column that both have.
        multi: rows with several labels: "skip" them, or take the "first".
        encoding: of the names in a zip; by default the one that fits them all.
        rename: new names of classes; or "old=new", or files of such pairs.
        only: classes to import, by their new names.
        limit: photos per class at most, drawn at random by `seed`.
        on_conflict: one photo in two classes: "keep" both, keep the "first", "skip" both, or stop
            with an "error".
        allow_host: "host:port" of web servers outside the public internet.
        force: replace `out` instead of adding to it.

    Raises:
        DataError: a source cannot be used, or none holds a photo.
        Refused: a URI's server denies it, cannot be reached, or needs a package not installed.
        StorageError: `out` is not imgcli's, is in use, or the disk is too small.
        WrongUsage: `out` and a source are inside one another, or choices out of range.
    """
    from imgcli.collect.imports import run
    from imgcli.collect.imports.formats.source import Reading
    from imgcli.collect.imports.selection import Selection, read_renames
    from imgcli.remote.path import source_path
    from imgcli.remote.storage import connecting

    target = Path(out or ("dataset" if keep_split else "raw"))
    renames = rename if isinstance(rename, Mapping) else read_renames(list(rename))
    several = [sources] if isinstance(sources, str | Path) else sources
    reading = Reading(
        label_from=label_from,
        path_column=path_column,
        label_column=label_column,
        keep_split=keep_split,
        levels=Levels.of(classes_at, parts),
        root=None if root is None else source_path(root),
        path_template=path_template,
        join=tuple(map(source_path, join)),
        multi=multi,
        encoding=encoding,
    )
    with connecting(allow_host):
        done = run.import_photos(
            [source_path(one) for one in several],
            target,
            force,
            reading=reading,
            selection=Selection(renames, tuple(only), limit, seed),
            on_conflict=on_conflict,
        )
    return ImportResult(out=target, **vars(done))
