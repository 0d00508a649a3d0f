"""File names that are safe on every disk and terminal, and the same in every run."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from os.path import splitext

from imgcli.image_types import SUFFIXES, is_photo_name
from imgcli.text import free_suffixes

MAX_NAME = 255  # bytes of one name on common file systems

_RESERVED = {"CON", "PRN", "AUX", "NUL"} | {f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10)}
# Control characters, bytes that are not text (surrogates), line breaks and path separators.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029/\\]")


def safe_name(name: str) -> str:
    """The name itself where it is safe, else a cleaned one that names nothing else.

    Unicode and spaces stay (in normal form C, so that one word is one name). Control characters,
    bytes that are no text, slashes, a leading dash or dot, trailing dots and spaces, the words that
    Windows reserves and more than 255 bytes are replaced, and eight hexadecimal digits of the
    received name's SHA-256 added, so that two names never become one.
    """
    text = unicodedata.normalize("NFC", name)
    clean = _UNSAFE.sub("_", text).rstrip(". ")
    if clean[:1] in ("", "-", ".") or clean.split(".")[0].rstrip().upper() in _RESERVED:
        clean = "_" + clean
    if clean == text and len(clean.encode()) <= MAX_NAME:
        return clean
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return tagged(clean, digest[:8])


def photo_name(name: str, image_format: str) -> str:
    """The safe name of a photo, with its format's suffix where it has no photo suffix.

    A suffix that is a photo's stays even if the content is of another format: `check` finds and
    fixes that.
    """
    name = name.rstrip(". ")
    if not is_photo_name(name):
        name += SUFFIXES[image_format][0]
    return safe_name(name)


def choices(name: str, digest: str) -> Iterator[str]:
    """`name`, then alternatives for the photo of this SHA-256 if the name is taken."""
    yield name
    yield from (tagged(name, digest[:8] + suffix) for suffix in free_suffixes())


def tagged(name: str, tag: str) -> str:
    """`stem-tag.suffix`, the stem cut where the whole would be too long."""
    stem, suffix = splitext(name)
    if len(suffix.encode()) > 16:  # a long "suffix" is only a dot in a sentence
        stem, suffix = name, ""
    room = MAX_NAME - len(f"-{tag}{suffix}".encode())
    return f"{stem.encode()[:room].decode(errors='ignore')}-{tag}{suffix}"
