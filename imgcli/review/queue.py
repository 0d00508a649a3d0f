"""What is to be decided by looking at photos: items in an order, their choices, and undoing.

A queue is what the page shows under one heading. It knows nothing of the web, and nothing of what
a choice does: that is its `apply`, which carries a choice out durably and returns what undoes it.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from imgcli.errors import DataError, WrongUsage

KEEP = "keep"  # the choice that leaves everything as it is
QUARANTINE = "quarantine"  # the choice that takes the item's photo out
IS = "is:"  # before the name of a class: the choice of that class


@dataclass(frozen=True)
class Photo:
    """A photo of an item."""

    id: str  # of its queue, for asking for the picture
    name: str  # its path, for people
    caption: str = ""


@dataclass(frozen=True)
class Choice:
    """One answer to an item's question."""

    id: str
    text: str
    key: str = ""  # that chooses it


@dataclass(frozen=True)
class Item:
    """One decision."""

    id: str
    question: str
    photos: tuple[Photo, ...]
    choices: tuple[Choice, ...]
    suggested: str = ""  # the id of the likeliest choice
    label: str = ""  # the class that the photo has
    source: str = ""
    confidence: float | None = None  # by which items can be filtered, in [0, 1]
    reason: str = ""  # one sentence
    top: tuple[tuple[str, float], ...] = ()  # the likeliest classes and their probabilities


@dataclass(frozen=True)
class Strip:
    """Photos to compare an item's with, such as the nearest of one class."""

    title: str
    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class Progress:
    """How far one has come."""

    decided: int
    left: int
    sentence: str


@dataclass(frozen=True)
class Wanted:
    """Which items are looked for; what is left empty wants all."""

    label: str = ""
    source: str = ""
    text: str = ""  # in a photo's name or the suggested choice
    least: float = 0.0  # confidence
    most: float = 1.0

    def takes(self, item: Item) -> bool:
        confidence = 0.5 if item.confidence is None else item.confidence
        text = self.text.casefold()
        return (
            self.label in ("", item.label)
            and self.source in ("", item.source)
            and self.least <= confidence <= self.most
            and any(
                text in word.casefold()
                for word in (*(photo.name for photo in item.photos), item.suggested, item.label)
            )
        )


Undo = Callable[[], None]
Apply = Callable[[Item, str], Undo]
Picture = Callable[[str, int], bytes | None]  # the WebP of a photo, by its id and longest side


@dataclass(eq=False)
class Queue:
    """Items to decide, most valuable first; threads may share it.

    Args:
        estimate: a sentence on how many of the items ask for a change; "" where it is not known.
        classes: that may be chosen beside an item's own choices, as "is:<name>".
        beside: photos to compare an item's with.
        maps: ids of the photos that have a picture of the evidence in them, as "why-<id>".
        further_classes: whether a class may be named that is not among `classes`.
        more: gives further items when all are decided.
        status: how far one has come, where the items are not all that there is.
    """

    name: str
    title: str
    about: str
    items: Sequence[Item]
    apply: Apply
    picture: Picture
    estimate: str = ""
    classes: tuple[str, ...] = ()
    beside: Callable[[Item], tuple[Strip, ...]] = lambda item: ()
    maps: frozenset[str] = frozenset()
    empty: str = "Nothing to decide here."
    further_classes: bool = False
    more: Callable[[], Sequence[Item]] | None = None
    status: Callable[[], Progress] | None = None
    _by_id: dict[str, Item] = field(init=False)
    _done: list[tuple[Item, str, Undo]] = field(init=False, default_factory=list)
    _turn: threading.RLock = field(init=False, default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.items = list(self.items)
        self._by_id = {item.id: item for item in self.items}
        assert len(self._by_id) == len(self.items)

    @property
    def decided(self) -> Mapping[str, str]:
        """The choice of each item that was decided, in order."""
        with self._turn:
            return {item.id: choice for item, choice, _ in self._done}

    def waiting(self, wanted: Wanted | None = None) -> list[Item]:
        """The items that are not decided, in order."""
        done, wanted = self.decided, wanted or Wanted()
        return [item for item in self.items if item.id not in done and wanted.takes(item)]

    def item(self, item_id: str) -> Item:
        """The item of this id.

        Raises:
            WrongUsage: there is none.
        """
        if item_id not in self._by_id:
            raise WrongUsage(f"There is no item '{item_id}' here.")
        return self._by_id[item_id]

    def decide(self, item_id: str, choice: str) -> None:
        """Carry out a choice, durably.

        Raises:
            WrongUsage: no such item or choice.
            DataError: it was decided meanwhile, or its photo is gone or has changed.
            StorageError: it cannot be carried out.
        """
        with self._turn:
            item = self.item(item_id)
            if choice not in {one.id for one in item.choices} and not self._is_class(choice):
                raise WrongUsage(f"'{choice}' is no choice for '{item.photos[0].name}'.")
            if (before := self.decided.get(item_id)) is not None:
                raise DataError(
                    f"'{item.photos[0].name}' was decided already, as {self.said(item, before)}. "
                    "Undo that first."
                )
            self._done.append((item, choice, self.apply(item, choice)))
            if self.more is not None and not self.waiting():
                self._extend(self.more())

    def _is_class(self, choice: str) -> bool:
        """Whether a choice is of a class beside an item's own choices."""
        name = choice.removeprefix(IS)
        return choice != name and (
            name in self.classes or (self.further_classes and bool(name.strip()))
        )

    def _extend(self, items: Sequence[Item]) -> None:
        for item in items:
            if item.id not in self._by_id:
                self.items = [*self.items, item]
                self._by_id[item.id] = item

    def undo(self) -> Item | None:
        """Take back the last choice that was carried out; None where there is none.

        Raises:
            StorageError: it cannot be taken back.
        """
        with self._turn:
            if not self._done:
                return None
            item, _, undo = self._done[-1]
            undo()
            self._done.pop()
            return item

    def said(self, item: Item, choice: str) -> str:
        """A choice, for people."""
        texts = {one.id: one.text for one in item.choices}
        return texts.get(choice, choice.removeprefix(IS))

    def progress(self) -> Progress:
        """How many are decided, and how many are left."""
        if self.status is not None:
            return self.status()
        decided = len(self.decided)
        left = len(self.items) - decided
        return Progress(decided, left, f"{decided:,} decided, {left:,} left")
