"""What the names of folders mean: parts, wrappers, masks, variants, numbers.

Lists of words, from published datasets and bug reports; compared word by word in lower case, so
that `seg_train` and `val2017` are parts as `train` and `val` are.
"""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from imgcli.errors import WrongUsage
from imgcli.image_types import is_photo_name
from imgcli.text import count, listed

Folder = tuple[str, ...]

SYSTEM_FILES = {"__macosx", "thumbs.db", "desktop.ini"}  # lower case; and all hidden ones
# Hidden folders of programs; others that hold photos are listed.
_PROGRAMS = (".imgcli", ".git", ".svn", ".ipynb_checkpoints", ".cache", ".trash", ".thumb", "._")

PARTS = ("train", "val", "test")
PART_WORDS = {
    **dict.fromkeys(("train", "training", "trainset", "trainval", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "testset", "tst", "eval", "evaluation"), "test"),
}
# Folders of pictures that are no labelled photos.
ASIDE = {
    *("doc", "docs", "documentation", "example", "examples", "sample", "samples", "demo", "demos"),
    *("asset", "assets", "figure", "figures", "fig", "figs", "plot", "plots", "result", "results"),
    *("output", "outputs", "screenshot", "screenshots", "readme", "static", "media", "icons"),
    *("pred", "preds", "predict", "prediction", "unlabeled", "unlabelled", "notebooks", "paper"),
    *("preview", "previews", "thumbnail", "thumbnails"),
}
# Folders of pictures that say what is where in a photo.
MASKS = {
    *(
        "mask",
        "masks",
        "label",
        "labels",
        "annotation",
        "annotations",
        "segmentation",
        "segmentations",
        "gt",
    ),
    *("groundtruth", "trimap", "trimaps"),
}
# Folders that hold the class folders.
WRAPPERS = {
    *("data", "dataset", "datasets", "image", "images", "img", "imgs", "photo", "photos"),
    *("picture", "pictures", "jpg", "jpeg", "png", "raw", "archive", "main", "master"),
}
# The same photos in several versions, side by side.
VARIANTS = {
    *("color", "colour", "colored", "coloured", "rgb", "gray", "grey", "grayscale", "greyscale"),
    *("segmented", "cropped", "original", "originals", "augmented", "resized", "depth", "edges"),
    *("enhanced", "normalized", "normalised", "background", "nobackground", "bw", "infrared"),
}


@dataclass(frozen=True)
class Levels:
    """What a user says of a tree that can be read in two ways."""

    classes_at: str | None = None  # a level, "2", or a pattern of class folders, "color/*"
    parts: Mapping[str, str] | None = None  # the part that a folder name means
    mixed: bool = False  # the photos of all parts are in none

    @classmethod
    def of(
        cls, classes_at: str | int | None = None, parts: Mapping[str, str] | Sequence[str] = ()
    ) -> "Levels":
        """From what is typed: a level or pattern, and pairs "NAME=train,NAME=test" or "none".

        Raises:
            WrongUsage: neither.
        """
        at = None if classes_at is None else str(classes_at)
        if isinstance(parts, Mapping):
            return cls(at, parts or None)
        pairs = [pair for text in parts for pair in text.split(",") if pair]
        if pairs == ["none"]:
            return cls(at, mixed=True)
        named = {}
        for pair in pairs:
            name, sign, part = pair.rpartition("=")
            if not sign:
                raise WrongUsage(
                    f"--parts {pair}: give the folder's name and its part, as in "
                    "--parts learn=train,exam=test, or none to mix the parts."
                )
            named[name] = part
        return cls(at, named or None)

    def __post_init__(self) -> None:
        for name, part in (self.parts or {}).items():
            if part not in PARTS:
                raise WrongUsage(f"--parts {name}={part}: a part is {listed(PARTS, 3)}.")
        if self.classes_at is not None and not self.classes_at.strip("/"):
            raise WrongUsage(
                "--classes-at takes the level of the class folders, such as 2, or a pattern of "
                "them, such as 'color/*'."
            )

    def part_of(self, name: str) -> str | None:
        """The part that a folder's name means by itself."""
        if self.parts is not None:
            return self.parts.get(name)
        return PART_WORDS.get(name.lower())

    def likely_part(self, name: str) -> str | None:
        """The part that a name means where other parts are beside it: seg_train, val2017."""
        if self.parts is not None:
            return self.parts.get(name)
        found = parts_in(name)
        if found == {"train", "val"}:
            return "train"
        return found.pop() if len(found) == 1 else None


AS_FOUND = Levels()


def label_of(name: str) -> str:
    """The class that a folder's name means: names that look the same are one class.

    Unicode writes é as one character (NFC) or as two (NFD); macOS and archives made there do the
    second.
    """
    return unicodedata.normalize("NFC", name)


def case_twins(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that are one for file systems that ignore case, as those of Windows and macOS do."""
    twins: dict[str, set[str]] = defaultdict(set)
    for name in names:
        twins[label_of(name).casefold()].add(name)
    return [tuple(sorted(many)) for _, many in sorted(twins.items()) if len(many) > 1]


def case_sentences(classes: Iterable[str]) -> Iterator[str]:
    """A sentence for classes that differ only in case."""
    for twins in case_twins(classes):
        merge, rename = f"{'+'.join(twins)}={twins[0]}", f"{twins[1]}={twins[0]}"
        yield (
            f"The classes {listed(twins, 3)} differ only in case, and would be one folder on "
            f"Windows and macOS. If they are one: imgcli merge {quote(merge)}, or imgcli import "
            f"--rename {quote(rename)}"
        )


def part_named(folder: Folder) -> str:
    """The part that a photo's folders name, such as "train" in `train2017/`; else ""."""
    return next((part for name in folder if (part := AS_FOUND.likely_part(name))), "")


def are_numbered(names: Iterable[str]) -> bool:
    """Whether names differ by their numbers alone: 2023 and 2024, site1 and site2."""
    names = set(names)
    shapes = {re.sub(r"\d+", "0", name.lower()) for name in names}
    return len(names) > 1 and len(shapes) == 1 and "0" in shapes.pop()


def has_word(words: set[str], name: str) -> bool:
    return not words.isdisjoint(_words(name))


def parts_in(name: str) -> set[str]:
    return {PART_WORDS[word] for word in _words(name) if word in PART_WORDS}


def _words(name: str) -> list[str]:
    """The words of a folder's name in lower case, without numbers; and all of them in one."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
    return [*words, "".join(words)] if len(words) > 1 else words


# --- hidden folders -----------------------------------------------------------------------------


def is_system_file(name: str) -> bool:
    """Whether a name is hidden or an operating system's own; such files are not reported."""
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def may_be_class(name: str) -> bool:
    """Whether a hidden folder is no program's own, so that photos in it are to be listed: .NET."""
    return name.startswith(".") and not name.lower().startswith(_PROGRAMS)


def photos_below(folder: str) -> int:
    """The files under a folder that are photos by their names."""
    return sum(is_photo_name(name) for _, _, names in os.walk(folder) for name in names)


def hidden(photos: int) -> str:
    """Why a folder whose name begins with a dot is passed over."""
    return (
        f"a hidden folder with {count(photos, 'photo')}; if it is a class, give it a name without "
        "the dot"
    )
