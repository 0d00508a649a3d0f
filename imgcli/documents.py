"""The one reader of JSON documents: a type says what stands in one, and anything else is refused.

    class Journal(Struct):
        folder: Name
        moves: list[Move]

    journal = read_document(path, Journal, version=1)

Types are msgspec structs and frozen dataclasses. Keys that a type does not name are passed over: a
later version may have added them.

A document may carry a hash of its own content as "sha256"; one that no longer agrees is refused.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from imgcli.reading import MAX_DOCUMENT, read_regular

T = TypeVar("T")

LARGEST = 2**63 - 1  # of any whole number in a document: what numpy and the tables hold
HASH = "sha256"  # the key of a document's own hash

_RELATIVE = r"(?s)^(?!/)(?!(?:.*/)?\.\.(?:/|\Z))[^\0]+\Z"
_NAME = r"(?s)^(?!\.{1,2}\Z)[^/\0]+\Z"
_SHA256 = r"^[0-9a-f]{64}\Z"

Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0, le=1e300)]  # neither infinite nor NaN
Relative = Annotated[str, Meta(pattern=_RELATIVE)]  # a path that stays inside its folder
Name = Annotated[str, Meta(pattern=_NAME)]  # of one file or folder
Sha256 = Annotated[str, Meta(pattern=_SHA256)]

# Escapes of the character 0, and of halves of characters that stand for no byte of a file's name.
_NO_NAME = re.compile(
    r"(?<!\\)(?:\\\\)*"  # escaped backslashes, which the escape may follow
    r"(?P<escape>\\u0000|\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])"
    r"|(?<!\\u[dD][89abAB]..)\\u[dD](?:[cC][0-7]|[d-fD-F].).)"
)
# Found many times sooner, and in every document that has one of them.
_RARE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_IN_WORDS = {
    _RELATIVE: "a relative path that stays inside its folder",
    _NAME: "the name of a file or folder",
    _SHA256: "a SHA-256 of 64 hexadecimal digits",
}


class DocumentError(ValueError):
    """A document that is not what its type says; `str(error)` is the reason, for a sentence."""


class OtherVersion(DocumentError):
    """A document of a version that is not read here."""

    def __init__(self, found: object) -> None:
        super().__init__(f"it has format {found!r}")
        self.found = found


def read_document(path: Path, kind: type[T], version: int | tuple[int, ...] | None = None) -> T:
    """The document in a file, as its type says.

    Args:
        version: what its "format" must be, or one of several; None for documents that have none.

    Raises:
        OSError: no such file, not a regular one, or too large.
        DocumentError: not JSON, changed since it was written, or not what the type says.
        OtherVersion: of another version.
    """
    return as_type(read_json(path, version), kind)


def read_json(
    path: Path, version: int | tuple[int, ...] | None = None, *, finite: bool = True
) -> Any:
    """The JSON in a file, found unchanged; errors and arguments as of `read_document` and `parse`.

    For documents of which a type says only what is needed, and all is passed on.
    """
    document = parse(read_regular(path, MAX_DOCUMENT), finite=finite)
    known = document if isinstance(document, dict) else {}
    if HASH in known and known[HASH] != hash_of(known):
        raise DocumentError("its content has changed since it was written")
    if version is not None and "format" not in known:
        raise DocumentError("it says no format")
    versions = version if isinstance(version, tuple) else (version,)
    if version is not None and known["format"] not in versions:
        raise OtherVersion(known["format"])
    return document


def parse(data: bytes, *, finite: bool = True) -> Any:
    """The JSON in some bytes, however it is nested and whatever its numbers are.

    Numbers and text that would only fail later are refused here: whole numbers beyond 64 bits,
    infinite ones, text that can be no file's name.

    Args:
        finite: refuse NaN and Infinity, which Python's writer knows and JSON does not.

    Raises:
        DocumentError: it is not JSON.
    """
    try:
        text = data.decode(json.detect_encoding(data))
        if _RARE.search(text) and (found := _NO_NAME.search(text)):
            raise DocumentError(f"it holds the character {found['escape']}")
        if not finite:
            return json.loads(text, parse_int=_whole)
        return json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise DocumentError("it is nested too deeply") from None
    except DocumentError:
        raise
    except ValueError as error:
        raise DocumentError(f"it is not JSON: {error}") from None


def reason_of(error: OSError | DocumentError) -> str:
    """Why a document cannot be read, for a sentence."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def as_type(document: object, kind: type[T]) -> T:
    """Parsed JSON as a type.

    Raises:
        DocumentError: where it is something else, with the place, such as "$.photos[3].group".
    """
    try:
        return msgspec.convert(document, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise DocumentError(_in_words(str(error))) from None


def stays_inside(path: str) -> bool:
    """Whether a path stays in the folder it is relative to, by its words: no "..", not absolute.

    What links make of it is for whoever opens it; a photo may be a link.
    """
    return re.search(_RELATIVE, path) is not None


def with_hash(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document of plain JSON types with a hash of its content."""
    return {**document, HASH: hash_of(document)}


def hash_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document's content without its own hash, however it is laid out."""
    content = {key: value for key, value in document.items() if key != HASH}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -LARGEST <= (number := int(digits)) <= LARGEST:
        raise ValueError(f"the number {digits[:20]}… is too large")
    return number


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is no number that can be used")
    return number


def _in_words(reason: str) -> str:
    """What msgspec says, with patterns in words."""
    for pattern, words in _IN_WORDS.items():
        reason = re.sub(re.escape(f"`str` matching regex {pattern!r}"), words, reason)
    return reason.replace("`", "")
