"""`imgcli.split`: train, test and validation parts of photos in class folders, shards, tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imgcli.commands.results import Result
from imgcli.errors import WrongUsage
from imgcli.folder_names import Levels
from imgcli.progress import note
from imgcli.remote.path import source_path

if TYPE_CHECKING:
    from imgcli.records import PhotosInPlace, Rejected

Link = Literal["auto", "hard", "symlink", "copy"]
Duplicates = Literal["near", "exact", "off"]


@dataclass(frozen=True, repr=False)
class SplitResult(Result):
    """A dataset folder with train/, test/ and, where asked for, val/.

    Of photos in place it has `split.json` alone, which says where they are.
    """

    _keys = (
        *("out", "seed", "ratio", "classes", "groups_kept_together", "groups", "grouped_by"),
        *("left_out", "rejected"),
    )

    out: Path
    seed: int
    ratio: float
    classes: Mapping[str, Mapping[str, int]]  # class: photos per part
    groups_kept_together: int  # groups of two photos or more
    groups: int  # in all
    grouped_by: tuple[str, ...]  # as asked for
    left_out: Mapping[str, int]  # class: photos, of those with fewer than `min_photos`
    rejected: "tuple[Rejected, ...]"  # by their paths in the raw folder
    notes: tuple[str, ...]  # sentences about anything unexpected


def split(
    raw: str | Path = "raw",
    *,
    ratio: float | None = None,
    val: float | None = None,
    seed: int | None = None,
    out: str | Path = "dataset",
    link: Link | None = None,
    duplicates: Duplicates | None = None,
    group_by: str | Sequence[str] | None = None,
    group_table: str | Path | None = None,
    min_photos: int | None = None,
    update: bool = False,
    force: bool = False,
    classes_at: str | int | None = None,
    parts: Mapping[str, str] | Sequence[str] = (),
    path_column: str | None = None,
    label_column: str | None = None,
    root: str | Path | None = None,
) -> SplitResult:
    """Split photos into train and test, stratified by class; duplicates stay together.

    `raw` is a folder of class folders, whose photos are linked into `out`; or a folder of
    WebDataset's shards (.tar), one shard, or a table of paths and labels, whose photos are read
    where they are: `out` is `split.json` alone. Nothing in `raw` changes. A choice that is None
    takes its default or, with `update`, the choice that the dataset was split with.

    Args:
        ratio: share of each class's photos outside the test part; 0.9 by default.
        val: share of each class's photos for validation, taken out of train; none by default.
        seed: fixes every random choice; 0 by default.
        link: how photos are placed in `out`; "auto": hard links, copies where there are none.
        duplicates: photos to keep in one part: "near" duplicates, "exact" ones, or "off".
        group_by: further photos to keep in one part: a regular expression on the path whose
            parentheses find the group, "column:NAME" of a table, "provenance:FIELD", "exif:burst";
            or several of them.
        group_table: the table of "column:NAME"; by default one inside or beside `raw`.
        min_photos: leave out classes with fewer photos; by default none is.
        update: add the photos that are new in `raw`; all others stay in their parts.
        force: replace an `out` that exists.
        classes_at: the level of the class folders below `raw`, or a pattern of them.
        parts: as of `import_photos`; ["none"] mixes the parts that folder names mean.
        path_column: column of a table with the photos' paths; found by default.
        label_column: column of a table with the classes; found by default.
        root: the folder that the paths in a table are below; by default the table's own.

    Raises:
        WrongUsage: a choice that cannot be meant, or `update` with `force`.
        DataError: the photos, their classes or the old `split.json` cannot be used.
        StorageError: `out` exists, is inside `raw` or around it, or the disk is too small.
    """
    from imgcli.photos.split import split_folder

    source = source_path(raw)
    in_place = photos_in_place(source, path_column, label_column, root)
    done = split_folder(
        in_place or source,
        Path(out),
        ratio=ratio,
        val=val,
        seed=seed,
        duplicates=duplicates,
        link=link,
        group_by=[group_by] if isinstance(group_by, str) else group_by,
        group_table=None if group_table is None else str(group_table),
        min_photos=min_photos,
        update=update,
        force=force,
        levels=Levels.of(classes_at, parts),
    )
    return SplitResult(**vars(done))


def photos_in_place(
    raw: Path,
    path_column: str | None = None,
    label_column: str | None = None,
    root: str | Path | None = None,
) -> "PhotosInPlace | None":
    """The photos that shards or a table name, which is said; None for a folder of photos.

    Raises:
        DataError, WrongUsage: as `split`.
    """
    from imgcli.collect.imports.formats.source import Reading
    from imgcli.collect.imports.in_place import find_in_place

    reading = Reading(
        path_column=path_column,
        label_column=label_column,
        root=None if root is None else source_path(root),
    )
    found = find_in_place(raw, reading)
    if found is None and (path_column or label_column or root):
        raise WrongUsage(
            f"--path-column, --label-column and --root are for tables; '{raw}' is a folder of "
            "photos."
        )
    for sentence in found.notes if found else ():
        note(sentence)
    return found
