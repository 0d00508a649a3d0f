"""What columns and keys are called, and what a label is, wherever one is written down."""

import math
from collections.abc import Sequence
from typing import Any

# The first that is there is taken: names before numbers.
LABELS = (
    *("label_name", "class_name", "category_name", "label", "class", "category", "cls", "target"),
    *("species", "genre", "tag", "fine_label", "label_id", "class_id"),
)
PATHS = (
    *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path"),
    *("image_name", "image_file", "img", "img_path", "photo", "picture"),
)
URLS = ("url", "image_url", "file_url", "photo_url", "link")
LONGEST = 200  # characters; more is a text about the photo


def column(names: Sequence[str], usual: Sequence[str]) -> str | None:
    """The first of the `usual` names that is among `names`, whatever its case."""
    lower = {name.strip().lower(): name for name in reversed(names)}
    return next((lower[name] for name in usual if name in lower), None)


def label_text(value: Any) -> str:
    """A label as text.

    Raises:
        ValueError: there is none, or it is no single label; the message is the reason.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column with gaps makes 3 into 3.0
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise ValueError("it has no label")
    if not isinstance(value, str | int | float):
        raise ValueError(f"its label is a {type(value).__name__}, not a word or a number")
    text = str(value).strip()
    if not text:
        raise ValueError("its label is empty")
    if len(text) > LONGEST:
        raise ValueError(f"its label has {len(text):,} characters; {LONGEST} are possible")
    return text
