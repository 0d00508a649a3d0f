"""Licences as the providers write them, normalised.

by  by-sa  by-nc  by-nd  by-nc-sa  by-nc-nd     Creative Commons, with a version
cc0  pdm                                         waived by the creator; public domain
gfdl 1.2, …                                      anything else, in the provider's words
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from imgcli.errors import WrongUsage
from imgcli.text import listed

CODES = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "cc0", "pdm")
_URL = re.compile(
    r"creativecommons\.org/(?:licenses/(?P<code>[a-z-]+)|publicdomain/(?P<tool>zero|mark))"
    r"(?:/(?P<version>\d\.\d))?",
    re.IGNORECASE,
)
_VERSION = re.compile(r"(?<![\d.])(\d\.\d)(?![\d.])")
_PUBLIC = {"pd", "publicdomain", "pdm", "pdm-owner", "public-domain", "public-domain-mark"}


@dataclass(frozen=True)
class Licence:
    """A licence that the creator grants."""

    code: str
    version: str | None = None
    url: str | None = None  # of the licence's text

    @property
    def name(self) -> str:
        """Its common name: "CC BY-SA 4.0"."""
        if self.code not in CODES:
            return self.code
        name = {"cc0": "CC0", "pdm": "Public domain"}.get(self.code, f"CC {self.code.upper()}")
        return f"{name} {self.version}" if self.version and self.code != "pdm" else name


def licence(name: str | None, version: str | None = None, url: str | None = None) -> Licence | None:
    """The licence that a provider names, by its URL where that is Creative Commons'.

    Args:
        name: such as "by-sa", "cc-by-sa-4.0", "CC BY-SA 4.0", "CC0" or "Public domain".
        version: if the provider gives it separately.
        url: of the licence's text, or what the provider has in its place.

    Returns:
        None if no licence is named, or all rights are reserved.
    """
    found = _URL.search(url or "") or _URL.search(name or "")
    if found:
        code = {"zero": "cc0", "mark": "pdm"}.get((found["tool"] or "").lower())
        code = code or found["code"].lower()
        if code in CODES:
            return _known(code, found["version"] or version, url)
    named = "-".join((name or "").lower().replace("_", "-").split())
    if not named or "rights-reserved" in named or named in ("none", "unknown", "©", "c"):
        return None
    if named in _PUBLIC:
        return _known("pdm", None, url)
    number = _VERSION.search(named)
    code = _VERSION.sub("", named).strip("-, ").removeprefix("cc-")
    if code in ("cc0", "0", "zero"):
        code = "cc0"
    if code in CODES:
        return _known(code, number[1] if number else version, url)
    return Licence(" ".join((name or "").split()), version, url)


def _known(code: str, version: str | None, url: str | None) -> Licence:
    """One of CODES; without a version it keeps the URL that was given, if any."""
    base = "https://creativecommons.org"
    if code == "pdm":
        return Licence(code, "1.0", f"{base}/publicdomain/mark/1.0/")
    if code == "cc0":
        return Licence(code, "1.0", f"{base}/publicdomain/zero/1.0/")
    return Licence(code, version, f"{base}/licenses/{code}/{version}/" if version else url)


def attribution(title: str | None, creator: str | None, granted: Licence | None) -> str:
    """The line that a licence asks for: title, creator, licence."""
    what = f'"{title}"' if title else "A photo"
    who = f" by {creator}" if creator else ""
    if granted is None:
        return f"{what}{who}, no licence known"
    where = f" ({granted.url})" if granted.url else ""
    return f"{what}{who}, {granted.name}{where}"


def licence_codes(text: str) -> frozenset[str]:
    """The licences of `--license by,cc0`.

    Raises:
        WrongUsage: an unknown name.
    """
    codes: Sequence[str] = [name.strip().lower().removeprefix("cc-") for name in text.split(",")]
    unknown = [name for name in codes if name not in CODES]
    if unknown:
        raise WrongUsage(f"--license {listed(unknown)} is unknown. There are {', '.join(CODES)}.")
    return frozenset(codes)
