"""Classes that the model cannot tell apart: which of them become one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgcli.documents import read_document
from imgcli.errors import DataError
from imgcli.files import write_json
from imgcli.photos.merge_spec import Plan
from imgcli.reading import UNREADABLE
from imgcli.records import MergeSuggestion
from imgcli.review.kept import Kept
from imgcli.review.pictures import Pictures
from imgcli.review.queue import KEEP, Choice, Item, Photo, Queue, Undo
from imgcli.text import listed, percent

MERGE = "merge"
PLAN = "merges-accepted.json"  # in the run: what `imgcli merge --plan` reads


@dataclass(frozen=True)
class Accepted:
    """The plan of the merges that were accepted, rewritten with each."""

    file: Path
    data: Path

    def merges(self) -> list[dict[str, Any]]:
        """Those of all sessions so far."""
        try:
            plan = read_document(self.file, Plan)
        except UNREADABLE:
            return []
        return [{"classes": list(one.classes), "name": one.name} for one in plan.merges]

    def add(self, classes: Sequence[str]) -> None:
        """Accept a merge, durably.

        Raises:
            DataError: one of the classes is in another merge.
        """
        merges = self.merges()
        taken = {name for one in merges for name in one["classes"]}
        if both := sorted(taken & set(classes)):
            raise DataError(
                f"{listed(both)} is in another merge that you accepted. Undo that first, or merge "
                f"all of them by hand in '{self.file}'."
            )
        self._write([*merges, {"classes": list(classes), "name": "+".join(classes)}])

    def take_back(self, classes: Sequence[str]) -> None:
        """Undo `add`, durably."""
        merges = [one for one in self.merges() if one["classes"] != list(classes)]
        if merges:
            self._write(merges)
        else:
            self.file.unlink(missing_ok=True)

    def _write(self, merges: list[dict[str, Any]]) -> None:
        write_json(self.file, {"merges": merges, "data": str(self.data)})


def merge_queue(
    suggestions: Sequence[MergeSuggestion],
    accepted: Accepted,
    kept: Kept,
    photo_ids: Mapping[str, str],
    pictures: Pictures,
) -> Queue:
    """The suggested merges, best first, with photos of their confusion.

    Args:
        photo_ids: of the examples, by path.
    """
    known = kept.subjects() | {tuple(one["classes"]) for one in accepted.merges()}
    asked = {
        f"m{number}": one for number, one in enumerate(suggestions) if one.classes not in known
    }

    def apply(item: Item, choice: str) -> Undo:
        classes = asked[item.id].classes
        change: Accepted | Kept = kept if choice == KEEP else accepted
        change.add(classes)
        return lambda: change.take_back(classes)

    return Queue(
        name="merges",
        title="Merges",
        about="Classes that the network confuses so often that they may be one. Merge them if you "
        "would not tell them apart either.",
        items=[_item(name, one, photo_ids) for name, one in asked.items()],
        apply=apply,
        picture=pictures,
        empty="No merges are suggested.",
    )


def _item(name: str, one: MergeSuggestion, photo_ids: Mapping[str, str]) -> Item:
    both = " and ".join(one.classes)
    examples = one.evidence.get("examples", ())
    return Item(
        id=name,
        question=f"Are {both} one class?",
        photos=tuple(
            Photo(
                photo_ids[example["path"]],
                example["path"],
                f"{example['class']}, predicted as {example['called']} "
                f"({percent(example['confidence'])})",
            )
            for example in examples
            if example["path"] in photo_ids
        ),
        choices=(Choice(MERGE, "One class", "m"), Choice(KEEP, "Two classes", "space")),
        suggested=MERGE,
        reason=one.reason,
    )
