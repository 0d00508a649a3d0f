"""Photos whose class is to be confirmed or corrected: labels to review, and weak predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from imgcli.photos.open_batch import OpenBatch
from imgcli.photos.quarantine import Move
from imgcli.photos.relabel import Destinations, Origin
from imgcli.review.kept import Kept
from imgcli.review.pictures import Pictures
from imgcli.review.queue import IS, KEEP, QUARANTINE, Choice, Item, Photo, Queue, Strip, Undo
from imgcli.text import percent

KEYS = 9  # classes that have a key


@dataclass(frozen=True)
class Doubt:
    """A photo of a dataset whose class is to be looked at."""

    id: str  # of the photo, for its picture
    path: str  # in the dataset
    origin: Origin  # where it was collected, which is where it moves
    label: str
    suggestion: str
    top: tuple[tuple[str, float], ...]  # the likeliest classes and their probabilities
    confidence: float  # that something is wrong, in [0, 1]
    reason: str
    source: str = ""


@dataclass(frozen=True, eq=False)
class Relabelling:
    """Carries out what is decided about the class of photos."""

    batch: OpenBatch
    destinations: Destinations
    kept: Kept
    doubts: Mapping[str, Doubt]  # by the item's id

    def apply(self, item: Item, choice: str) -> Undo:
        """Keep a label, give another, or take the photo out; what undoes it."""
        doubt = self.doubts[item.id]
        origin = doubt.origin
        name = choice.removeprefix(IS)
        if choice == KEEP or (choice != name and name == doubt.label):
            subject = subject_of(doubt)
            self.kept.add(subject)
            return lambda: self.kept.take_back(subject)
        if choice == QUARANTINE:
            move = Move(origin.path, "review", "taken out by hand", sha256=origin.sha256)
        else:
            move = self.destinations.move(origin.path, doubt.label, name, origin.sha256, set())
        self.batch.move(move)
        return lambda: self.batch.undo(move)


def subject_of(doubt: Doubt) -> tuple[str, str]:
    """What is remembered of a photo that is left as it is: its content and its label."""
    return doubt.origin.sha256, doubt.label


def label_queue(
    name: str,
    title: str,
    about: str,
    doubts: Sequence[Doubt],
    classes: Sequence[str],
    batch: OpenBatch,
    destinations: Destinations,
    pictures: Pictures,
    *,
    kept: Kept,
    beside: Callable[[Item], tuple[Strip, ...]],
    estimate: str = "",
    empty: str = "",
) -> Queue:
    """A queue of doubts, less those that were kept before."""
    known = kept.subjects()
    asked = {doubt.id: doubt for doubt in doubts if subject_of(doubt) not in known}
    return Queue(
        name=name,
        title=title,
        about=about,
        items=[_item(doubt, classes) for doubt in asked.values()],
        apply=Relabelling(batch, destinations, kept, asked).apply,
        picture=pictures,
        estimate=estimate,
        classes=tuple(classes),
        beside=beside,
        maps=frozenset(pictures.evidence),
        empty=empty,
    )


def _item(doubt: Doubt, classes: Sequence[str]) -> Item:
    """A photo and the classes that have a key: all of few, the likeliest of many."""
    likely = [name for name, _ in doubt.top]
    near = [name for name in dict.fromkeys([doubt.suggestion, *likely]) if name != doubt.label]
    with_keys = list(classes) if len(classes) <= KEYS else near[:KEYS]
    return Item(
        id=doubt.id,
        question=f"Is this {doubt.label}?",
        photos=(Photo(doubt.id, doubt.origin.path, f"labelled {doubt.label}"),),
        choices=(
            Choice(KEEP, f"Keep {doubt.label}", "space"),
            *(Choice(f"{IS}{c}", c, str(key)) for key, c in enumerate(with_keys, 1)),
            Choice(QUARANTINE, "Take the photo out", "x"),
        ),
        suggested=f"{IS}{doubt.suggestion}",
        label=doubt.label,
        source=doubt.source,
        confidence=doubt.confidence,
        reason=doubt.reason,
        top=doubt.top,
    )


def weak_reason(label: str, probability: float, predicted: str, confidence: float) -> str:
    """Why a prediction is listed, for people."""
    if predicted == label:
        return f"Predicted as {predicted} with {percent(confidence)} only."
    return (
        f"Predicted as {predicted} with {percent(confidence)}; the probability of {label} is "
        f"{percent(probability)}."
    )
