"""Import photos of all sources into one folder of class folders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imgcli.collect.imports.conflicts import OnConflict, resolve_conflicts
from imgcli.collect.imports.detect import open_source
from imgcli.collect.imports.formats.source import LabelledPhotos, Reading, Source
from imgcli.collect.imports.labelled_photo import LabelledPhoto, NotTaken
from imgcli.collect.imports.read_ahead import read_ahead
from imgcli.collect.imports.selection import Selection
from imgcli.collect.imports.survey import split_into
from imgcli.collect.ingest import Store, open_store
from imgcli.errors import DataError, WrongUsage
from imgcli.files import need_space
from imgcli.folder_names import case_sentences
from imgcli.image_types import FORMATS_READ
from imgcli.progress import track
from imgcli.reading import MAX_PIXELS_VARIABLE, matching, pixel_limit
from imgcli.records import Rejected
from imgcli.remote.path import RemotePath
from imgcli.staging import named
from imgcli.text import count, listed


@dataclass(frozen=True)
class Imported:
    """The result of an import, for all sources."""

    added: int
    skipped: int  # photos whose bytes are in their class already, or were and moved to another
    duplicates: tuple[tuple[str, str], ...]  # those that came twice now: origin, path of the first
    rejected: tuple[Rejected, ...]
    classes: dict[str, int]  # photos per class in the whole output folder
    conflicts: tuple[tuple[str, ...], ...]  # paths of one photo in several classes
    parts: dict[str, int] | None = None  # photos per part, where the split was kept
    notes: tuple[str, ...] = ()  # sentences about anything unusual
    too_large: tuple[tuple[str, int], ...] = ()  # of those added now: path, pixels to decode


def import_photos(
    sources: Sequence[Path],
    out: Path,
    force: bool = False,
    *,
    reading: Reading | None = None,
    selection: Selection | None = None,
    on_conflict: OnConflict = "keep",
) -> Imported:
    """Copy the photos of all sources into `out/<class>/`; the sources are only read.

    Args:
        sources: folders, archives and tables; patterns such as "shards/*.tar" too.
        out: gets `<part>/<class>/` instead where `reading` keeps the split.
        force: replace `out` whole instead of adding to it.

    Raises:
        DataError: a source that cannot be read, or no photo in any of them.
        StorageError: `out` was not made by imgcli, is in use, or its disk is too small.
        WrongUsage: `out` and a source are inside one another, or options that contradict.
    """
    reading, selection = reading or Reading(), selection or Selection()
    sources = [path for source in sources for path in _matching(source)]
    _refuse_overlap(sources, out)
    opened = [open_source(path, reading) for path in sources]

    with open_store(out, force, reading.keep_split) as store:

        def selected() -> LabelledPhotos:
            found = selection.of(lambda: _all_of(opened, reading.keep_split))
            return read_ahead(found, store.has)

        if selection.limit is None and not selection.only:
            size = sum(source.size for source in opened)
            need_space(store.folder, size - store.bytes_found, "The import")
        n = sum(source.count for source in opened)
        items = resolve_conflicts(selected, on_conflict, store, n)
        added, skipped, rejected = _place_all(track(items, "import", n, "photos"), store)
        if added + skipped == 0:
            raise _nothing(sources, rejected, list(selection.unmet()))
        result = Imported(
            added=added,
            skipped=skipped,
            duplicates=tuple(store.duplicates),
            rejected=tuple(rejected),
            classes=store.counts(),
            conflicts=tuple(store.conflicts()),
            parts=store.part_counts() if reading.keep_split else None,
            notes=(
                *(sentence for source in opened for sentence in source.notes),
                *selection.unmet(),
                *_mixed(opened, reading.keep_split),
                *_too_large(store, out),
                *case_sentences(store.counts()),
            ),
            too_large=tuple(store.too_large),
        )
    return replace(result, notes=(*result.notes, *store.notes))


def _matching(source: Path) -> list[Path]:
    """The paths that a source means, which may be a pattern."""
    found = matching(source)
    if not found:
        raise DataError(f"Nothing matches '{source}'. Name a folder, an archive or a table.")
    return found


def _all_of(sources: Sequence[Source], keep_split: bool) -> LabelledPhotos:
    for source in sources:
        for item in source.photos():
            if isinstance(item, Rejected) or not source.parts or keep_split == bool(item.part):
                yield item
            elif keep_split:
                yield Rejected(item.origin, "is in no part of the split")
            else:
                yield replace(item, part="")


def _mixed(sources: Sequence[Source], keep_split: bool) -> Iterator[str]:
    """A sentence where train and test photos go into the same folders."""
    parts = {part for source in sources for part in source.parts}
    if not keep_split and split_into(parts):
        of = listed([source.path for source in sources if source.parts], 3)
        yield (
            f"The parts {listed(sorted(parts))} of {of} are mixed here; --keep-split keeps them "
            "apart."
        )


def _too_large(store: Store, out: Path) -> Iterator[str]:
    """A sentence about photos that no command would decode."""
    if store.too_large:
        path, pixels = max(store.too_large, key=lambda one: one[1])
        n = len(store.too_large)
        yield (
            f"{count(n, 'photo')} {'is' if n == 1 else 'are'} too large to be decoded, such as "
            f"'{out / path}' of {pixels:,} pixels; the limit is {pixel_limit():,}. check, "
            f"split, train and predict leave {'it' if n == 1 else 'them'} out, unless --max-pixels "
            f"or {MAX_PIXELS_VARIABLE} says more."
        )


def _place_all(
    items: Iterator[LabelledPhoto | Rejected], store: Store
) -> tuple[int, int, list[Rejected]]:
    """Place all photos; returns the numbers added and skipped, and the rejected."""
    added = skipped = 0
    rejected: list[Rejected] = []
    for item in items:
        if isinstance(item, Rejected):
            rejected.append(item)
            continue
        try:
            new = store.place(item)
        except NotTaken as reason:
            rejected.append(Rejected(item.origin, str(reason)))
        else:
            added += new
            skipped += not new
    return added, skipped, rejected


def _refuse_overlap(sources: Sequence[Path], out: Path) -> None:
    """Refuse to copy a folder into itself, or to replace a source."""
    if not named(out).name:
        raise WrongUsage(f"--out '{out}' is the root of the disk. Name a folder such as --out raw.")
    place = named(out).resolve()
    for source in sources:
        if isinstance(source, RemotePath):
            continue
        real = source.resolve()
        if place.is_relative_to(real):
            raise WrongUsage(
                f"--out '{out}' is inside the source '{source}'. Choose an --out outside it."
            )
        if real.is_relative_to(place):
            raise WrongUsage(
                f"The source '{source}' is inside --out '{out}'. Choose another --out."
            )


def _nothing(
    sources: Sequence[Path], rejected: Sequence[Rejected], unmet: Sequence[str]
) -> DataError:
    why = list(unmet)
    if rejected:
        reasons = "; ".join(f"{r.path}: {r.reason}" for r in rejected[:3])
        why.append(f"Rejected: {len(rejected)}, such as {reasons}.")
    known = f"imgcli takes {FORMATS_READ}; HEIC and JPEG XL with a package more."
    return DataError(" ".join([f"No photo could be taken from {listed(sources)}.", *why, known]))
