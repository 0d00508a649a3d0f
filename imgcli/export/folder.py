"""The folder of an export: which of its files are imgcli's, by the document in it."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from imgcli.aside import files_in
from imgcli.reading import digest_of

DOCUMENT = "export.json"  # in the folder: what is in it, and how it was compared with imgcli


def _known(folder: Path) -> Mapping[str, str]:
    """The files that an export's document names, with their SHA-256."""
    with suppress(OSError, ValueError, AttributeError):
        known = json.loads((folder / DOCUMENT).read_text("utf-8")).get("sha256")
        if isinstance(known, dict):
            return known
    return {}


def is_export(folder: Path) -> bool:
    """Whether there is an export, as it was written and with nothing else, or nothing at all."""
    return folder.is_dir() and bool(_known(folder)) and not user_files(folder)


def user_files(folder: Path) -> Sequence[str]:
    """What in a folder imgcli did not write."""
    known = _known(folder)
    return [
        name
        for name in files_in(folder)
        if not (name == DOCUMENT and known)
        and (name not in known or digest_of(folder / name) != known[name])
    ]
