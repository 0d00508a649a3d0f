"""Photos that show the same: which of them stay, and under which of their labels."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from imgcli.errors import ImgcliError
from imgcli.photos.check import Checked
from imgcli.photos.open_batch import OpenBatch
from imgcli.photos.quality import Group, joined
from imgcli.photos.quarantine import Move
from imgcli.review.kept import Kept
from imgcli.review.pictures import Pictures, Source
from imgcli.review.queue import KEEP, Choice, Item, Photo, Queue, Undo
from imgcli.text import count, listed

BEST = "best"  # the choice that keeps the first photo of each class
ONLY = "only:"  # before the position of the one photo that stays
KEYS = 9
SHOWN = 24  # photos of one group; all of them are decided


def duplicate_queue(
    checked: Checked, digests: Mapping[str, str], batch: OpenBatch, kept: Kept
) -> Queue:
    """The groups of duplicates of a checked folder; those in two classes first.

    Args:
        digests: SHA-256 of the photos of the groups, by path.
    """
    known = kept.subjects()
    found = joined(checked.duplicates, checked.near_duplicates)
    labels = {path: place.label for path, place in checked.places.items()}
    whole = [group for group in found if all(path in digests for path in group.paths)]
    groups = {
        f"g{number}": group
        for number, group in enumerate(sorted(whole, key=lambda g: _order(g, labels)))
        if _subject(group, digests) not in known
    }
    photo_ids = {
        path: f"{name}-{i}" for name, group in groups.items() for i, path in enumerate(group.paths)
    }

    def apply(item: Item, choice: str) -> Undo:
        group = groups[item.id]
        if choice == KEEP:
            subject = _subject(group, digests)
            kept.add(subject)
            return lambda: kept.take_back(subject)
        moves = [
            Move(path, "review", f"shows what {stays} shows", sha256=digests[path])
            for path, stays in _taken_out(group, choice, labels)
        ]
        return _moved(batch, moves)

    return Queue(
        name="duplicates",
        title="Duplicates",
        about="Photos that show the same, or nearly. Copies in two classes teach the network both; "
        "others only add weight to what they show.",
        items=[_item(name, group, labels, photo_ids) for name, group in groups.items()],
        apply=apply,
        picture=Pictures(
            {photo_ids[path]: Source(checked.root / path, digests[path]) for path in photo_ids}
        ),
        empty="No duplicates were found.",
    )


def _moved(batch: OpenBatch, moves: list[Move]) -> Undo:
    """Take photos out, all or none; what undoes it."""
    done: list[Move] = []

    def undo() -> None:
        while done:
            batch.undo(done[-1])
            done.pop()

    try:
        for move in moves:
            batch.move(move)
            done.append(move)
    except ImgcliError:
        with suppress(ImgcliError):  # the first error is told; the journal knows the rest
            undo()
        raise
    return undo


def _order(group: Group, labels: Mapping[str, str]) -> tuple[int, int, str]:
    """Conflicts first, then large groups."""
    return -len({labels[path] for path in group.paths}), -len(group.paths), group.paths[0]


def _subject(group: Group, digests: Mapping[str, str]) -> tuple[str, ...]:
    """What is remembered of a group that is left as it is: the contents of its photos."""
    return tuple(sorted(digests[path] for path in group.paths))


def _taken_out(group: Group, choice: str, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The photos that do not stay, each with one that shows the same and does."""
    if choice == BEST:
        first: dict[str, str] = {}
        for path in group.paths:
            if first.setdefault(labels[path], path) != path:
                yield path, first[labels[path]]
        return
    stays = group.paths[int(choice.removeprefix(ONLY))]
    yield from ((path, stays) for path in group.paths if path != stays)


def _item(name: str, group: Group, labels: Mapping[str, str], photo_ids: Mapping[str, str]) -> Item:
    names = sorted({labels[path] for path in group.paths})
    conflict = len(names) > 1
    repeated = len(group.paths) > len(names)
    photos = tuple(
        Photo(photo_ids[path], path, f"{i + 1}: {labels[path]}{_distance(i, group)}")
        for i, path in enumerate(group.paths[:SHOWN])
    )
    only = [
        Choice(f"{ONLY}{i}", f"Only photo {i + 1} ({labels[path]})", str(i + 1) if i < KEYS else "")
        for i, path in enumerate(group.paths[:SHOWN])
    ]
    best = Choice(BEST, "Keep the first of each class" if conflict else "Keep the first", "b")
    return Item(
        id=name,
        question=f"The same photo in {listed(names)}: which stay?"
        if conflict
        else "The same photo, or two?",
        photos=photos,
        choices=(Choice(KEEP, "Keep all", "space"), *([best] if repeated else []), *only),
        suggested=BEST if repeated and not conflict else "",
        label=names[0] if not conflict else "",
        reason=f"{count(len(group.paths), 'photo')} in {listed(names)}. The first is the largest, "
        "then that of most bytes.",
    )


def _distance(position: int, group: Group) -> str:
    return f", distance {group.distances[position]:.2f}" if position else ", the largest"
