"""Photos without labels, a batch at a time: what is chosen next depends on the labels so far."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from imgcli.photos.open_batch import OpenBatch
from imgcli.photos.quarantine import Move
from imgcli.review.queue import IS, KEEP, Choice, Item, Photo, Progress, Queue, Undo

BATCH = 10  # photos that are chosen together
KEYS = 9


class Pool(Protocol):
    """Photos to label, and the labels that they have by now."""

    names: Sequence[str]
    files: Sequence[Path]
    classes: list[str]

    def next(self, n: int, without: Sequence[int]) -> list[tuple[int, str | None]]: ...
    def label(self, row: int, name: str) -> None: ...
    def unlabel(self, row: int) -> None: ...


@dataclass(eq=False)
class Labelling:
    """Carries out what is decided about photos of a pool, and chooses the next ones.

    Args:
        folder_of: the name of a class's folder.
    """

    pool: Pool
    batch: OpenBatch
    folder_of: Callable[[str], str]
    _skipped: set[int] = field(default_factory=set)
    _turn: threading.RLock = field(default_factory=threading.RLock)

    def apply(self, item: Item, choice: str) -> Undo:
        """Put a photo into a class folder, or pass it over; what undoes it."""
        row = int(item.id.removeprefix("p"))
        with self._turn:
            if choice == KEEP:
                self._skipped.add(row)
                return lambda: self._skipped.discard(row)
            name = choice.removeprefix(IS)
            placed = self.batch.place(
                Path(self.pool.files[row]), self.folder_of(name), f"labelled as {name}"
            )
            self.pool.label(row, name)
            return lambda: self._take_back(row, placed)

    def _take_back(self, row: int, placed: Move | None) -> None:
        with self._turn:
            if placed is not None:
                self.batch.undo(placed)
            self.pool.unlabel(row)

    def more(self) -> list[Item]:
        """The next photos; none where all have a label or were passed over."""
        with self._turn:
            return [
                self._item(row, guess)
                for row, guess in self.pool.next(BATCH, sorted(self._skipped))
            ]

    def _item(self, row: int, guess: str | None) -> Item:
        shown = list(self.pool.classes)
        if len(shown) > KEYS:  # keys stay with their classes; the guess has enter
            shown = [*([guess] if guess else []), *(c for c in shown if c != guess)][:KEYS]
        return Item(
            id=f"p{row}",
            question="What is this?",
            photos=(Photo(f"p{row}", self.pool.names[row]),),
            choices=(
                *(Choice(f"{IS}{name}", name, str(key)) for key, name in enumerate(shown, 1)),
                Choice(KEEP, "Not now", "space"),
            ),
            suggested=f"{IS}{guess}" if guess else "",
            reason=f"It looks like {guess}." if guess else "",
        )


def labelling_queue(
    labelling: Labelling,
    picture: Callable[[str, int], bytes | None],
    status: Callable[[], Progress],
) -> Queue:
    """The queue of photos to label, which grows by a batch when the last one is done."""
    return Queue(
        name="label",
        title="Label",
        about="Typical photos first, then those between two classes; one in five is drawn at "
        "random, to tell the accuracy by.",
        items=labelling.more(),
        apply=labelling.apply,
        picture=picture,
        classes=tuple(labelling.pool.classes),
        further_classes=True,
        more=labelling.more,
        status=status,
        empty="Every photo has a label, or was passed over.",
    )
