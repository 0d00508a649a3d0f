"""What imgcli replaces is removed only if imgcli wrote it, as it is; else it is set aside.

dataset.replaced-20261121-101500/      an old folder with files of the user's
credits.html.replaced-20261121-101500  an old page that the user wrote or edited
"""

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from imgcli.files import write_atomic
from imgcli.text import free_suffixes

MARKER = ".imgcli-staging.json"  # of `imgcli.staging`
# What systems leave in folders; nobody misses it.
SYSTEM_FILES = {".ds_store", "thumbs.db", "desktop.ini", ".directory", ".localized"}
MAX_PAGE = 64_000_000  # bytes; no page that imgcli writes is as large


def set_aside_of(path: Path) -> list[Path]:
    """What `set_aside` has renamed, the newest last."""
    return folders_beside(path, re.compile(rf"{re.escape(path.name)}\.replaced-.+"))


def set_aside(path: Path, old: Path | None = None) -> Path:
    """Rename what is at `path`, or at `old` by now, to a free `<path>.replaced-<time>`."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for suffix in free_suffixes():
        aside = path.with_name(f"{path.name}.replaced-{stamp}{suffix}")
        if not os.path.lexists(aside):
            break
    os.rename(old or path, aside)
    return aside


def write_page(path: Path, page: str) -> str | None:
    """Write an HTML page, all or nothing, closed by a comment with its SHA-256.

    Returns:
        Where a file that was there is now, as a sentence, if it was not as `write_page` left it.
    """
    aside = set_aside(path) if path.is_file() and not is_own_page(path) else None
    raw = page.encode("utf-8", "surrogateescape")
    write_atomic(path, raw + _seal(raw))
    if aside is None:
        return None
    return f"The old '{path}' is kept as '{aside.name}' beside it, for imgcli did not write it so."


def is_own_page(path: Path) -> bool:
    """Whether a file is a page that `write_page` wrote, and has not been edited since."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_PAGE:
        return False
    page = path.read_bytes()
    size = len(_seal(b""))
    return page[-size:] == _seal(page[:-size])


def _seal(page: bytes) -> bytes:
    return f"\n<!-- written by imgcli, sha256 {sha256(page).hexdigest()} -->\n".encode()


def folders_beside(out: Path, name: re.Pattern[str]) -> list[Path]:
    """The folders beside `out` whose names match a pattern, sorted; no links to folders."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(out.parent) as entries:
        return sorted(
            out.with_name(entry.name)
            for entry in entries
            if name.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        )
    return []


def files_in(folder: Path) -> list[str]:
    """Relative paths of all files under a folder, sorted; no system's and no temporary ones.

    Links to folders count as files, and so does a folder that cannot be listed.
    """
    if not folder.is_dir():
        return []
    found: list[str] = []
    unlisted: list[str] = []
    for where, folders, files in os.walk(folder, onerror=lambda e: unlisted.append(e.filename)):
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        found += (os.path.join(where, name) for name in (*files, *links) if not _is_noise(name))
    start = len(os.path.join(folder, ""))  # os.path.relpath takes seconds for a million
    return sorted(path[start:] or "." for path in (*found, *unlisted))


def _is_noise(name: str) -> bool:
    ours = name == MARKER or (name.startswith(".imgcli-") and name.endswith(".tmp"))
    return ours or name.lower() in SYSTEM_FILES
