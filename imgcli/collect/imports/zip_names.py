"""The encoding of the names in a zip, which the format does not say.

A zip of today says "UTF-8" by a flag. Others hold bytes in the code page of the Windows that made
them: Shift-JIS in Japan, GBK in China, CP437 or CP1252 in the West. All names of an archive are in
one encoding, so they are judged together: the one is taken in which all of them can be read and
look most like words. A byte 5C is a backslash only where it is not half of a character.
"""

import codecs
import unicodedata
from collections.abc import Iterable

from imgcli.errors import WrongUsage

# Tried in this order; the first of several as likely ones is taken.
ENCODINGS = ("cp932", "gbk", "big5", "cp949", "cp1252", "cp437", "cp850", "cp1251", "cp866")
NAMES = {
    "cp932": "Shift-JIS",
    "gbk": "GBK",
    "big5": "Big5",
    "cp949": "EUC-KR",
    "cp1252": "CP1252",
    "cp437": "CP437",
    "cp850": "CP850",
    "cp1251": "CP1251",
    "cp866": "CP866",
}
_LEVEL_ONE = {"cp932": (0x88, 0x98), "gbk": (0xB0, 0xD8), "big5": (0xA4, 0xC7)}  # lead bytes
_HANGUL = (  # the syllables that make up most Korean words
    "이다는에가의로하고을은를지사도기한자인아어나리시대정부일스라서그보수원구제해전상주장여비동"
    "산화공연만우안개성모국오조유계진신경마관면당생바세용선과소위미물교재치들명김회장영학무음식"
    "람양나무거북늘품차방강토말달별꽃새집문병곰돼개닭소양치즈빵밥물차과일빨노파초검흰색"
)


def checked(encoding: str) -> str:
    """An encoding that is typed.

    Raises:
        WrongUsage: Python knows none of that name.
    """
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        known = ", ".join(("utf-8", *ENCODINGS))
        raise WrongUsage(
            f"--encoding '{encoding}' is no encoding. Name one such as {known}."
        ) from None


def encoding_of(names: Iterable[bytes]) -> str:
    """The encoding that fits the names of an archive; UTF-8 where they are UTF-8."""
    others = {name for name in names if not name.isascii()}
    if all(_decoded(name, "utf-8") is not None for name in others):
        return "utf-8"
    scores = {}
    for encoding in ENCODINGS:
        texts = [_decoded(name, encoding) for name in others]
        if None not in texts:
            scores[encoding] = sum(_likeness(text or "", encoding) for text in texts)
    # CP437 is what the format itself says of names without a flag.
    return max(scores, key=lambda encoding: scores[encoding], default="cp437")


def _decoded(name: bytes, encoding: str) -> str | None:
    try:
        return name.decode(encoding)
    except UnicodeDecodeError:
        return None


def _likeness(text: str, encoding: str) -> float:
    """How much a name looks like words: points for each character outside ASCII, on average."""
    points = [
        _points(char, text[max(0, at - 1) : at], text[at + 1 : at + 2], encoding)
        for at, char in enumerate(text)
        if ord(char) > 127
    ]
    return sum(points) / len(points) if points else 0.0


def _points(char: str, before: str, after: str, encoding: str) -> float:
    """The points of a character beside its neighbours, each "" at an end."""
    name = unicodedata.name(char, "")
    latin = any(c.isascii() and c.isalpha() for c in before + after)
    if name.startswith("LATIN") and char.isalpha():
        return (0.8 if char not in "ŠšŽžƒ" else 0.6) if latin else -0.3
    if latin:
        return -1.0  # scripts do not change within a word
    if name.startswith(("HIRAGANA", "KATAKANA")):
        return 1.0 if encoding == "cp932" else -0.5
    if name.startswith("HANGUL"):
        return 1.0 if char in _HANGUL else -0.2
    if name.startswith("CJK UNIFIED"):
        first, end = _LEVEL_ONE.get(encoding, (0, 0))
        return 0.6 if first <= char.encode(encoding)[0] < end else -0.6
    if name.startswith("CYRILLIC"):
        inside = any(unicodedata.name(c, "").startswith("CYRILLIC") for c in before + after)
        return 0.9 if inside and not (char.isupper() and before.isalpha()) else -0.8
    return -1.0
