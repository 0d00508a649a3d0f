"""The same photo, byte for byte, under two labels: one is wrong, or it is a placeholder.

keep     it is kept in each of its classes, and reported
first    its first class has it, the others not; each refusal is listed
skip     none of its classes has it; each refusal is listed
error    nothing is imported
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from imgcli.collect.imports.formats.source import LabelledPhotos
from imgcli.collect.imports.labelled_photo import LabelledPhoto, NotTaken
from imgcli.collect.ingest import Store, class_name
from imgcli.errors import DataError
from imgcli.progress import track
from imgcli.text import count

OnConflict = Literal["keep", "first", "skip", "error"]


def resolve_conflicts(
    items: Callable[[], LabelledPhotos], rule: OnConflict, store: Store, total: int
) -> LabelledPhotos:
    """The photos, of which those in conflict are refused by the rule when they are read.

    With "skip" and "error" every photo is read twice: whether a photo has a second label is known
    only at the end.

    Args:
        total: of the items, about.

    Raises:
        DataError: a conflict, and the rule is "error".
    """
    if rule == "keep":
        return items()
    labels = _Labels(store)
    if rule in ("skip", "error"):
        for item in track(items(), "compare", total, "photos"):
            if isinstance(item, LabelledPhoto):
                labels.add(item)
    if rule == "error" and labels.contested:
        raise labels.refusal()
    return (
        replace(item, read=partial(labels.read, item)) if isinstance(item, LabelledPhoto) else item
        for item in items()
    )


@dataclass
class _Labels:
    """The labels seen for each photo, by its bytes."""

    store: Store
    seen: dict[bytes, tuple[str, str]] = field(default_factory=dict)  # digest: class, origin
    contested: dict[bytes, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, item: LabelledPhoto) -> None:
        """Read a photo and note its label; an unreadable one is rejected when it is placed."""
        try:
            data = item.read()
        except NotTaken:
            return
        digest = hashlib.sha256(data).digest()
        here = class_name(item.label)
        first = self.seen.setdefault(digest, (here, item.origin))
        there = sorted(self.store.classes_of(data) - {here})
        if first[0] != here or there:
            before = first if first[0] != here else (there[0], f"{self.store.folder}/{there[0]}")
            self.contested.setdefault(digest, [before]).append((here, item.origin))

    def read(self, item: LabelledPhoto) -> bytes:
        """The photo's bytes.

        Raises:
            NotTaken: it is in another class as well.
        """
        data = item.read()
        digest, here = hashlib.sha256(data).digest(), class_name(item.label)
        classes = {label for label, _ in self.contested.get(digest, [])}
        classes |= self.store.classes_of(data)
        if classes - {here}:
            others = ", ".join(sorted(classes - {here}))
            raise NotTaken(f"the same photo is of class {others} too, and of '{here}' here")
        return data

    def refusal(self) -> DataError:
        (label, origin), (other, another) = next(iter(self.contested.values()))[:2]
        n = count(len(self.contested), "photo is", "photos are")
        return DataError(
            f"{n} of two classes, such as '{origin}' ({label}) = '{another}' ({other}). Fix the "
            "source, or say --on-conflict keep, first or skip."
        )
