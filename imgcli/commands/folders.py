"""Folders as they are given to a command, and those that it uses without being told."""

from collections.abc import Sequence
from pathlib import Path

from imgcli.errors import WrongUsage

DEFAULTS = (Path("raw"), Path("dataset"))  # the first that exists


def existing_default() -> Path | None:
    """The folder that commands read by default; None if there is none here."""
    return next((folder for folder in DEFAULTS if folder.is_dir()), None)


def default_folder(example: str) -> Path:
    """The folder that commands read by default: raw/, or else dataset/.

    Args:
        example: the command line that names a folder, such as "imgcli check DIR".

    Raises:
        WrongUsage: neither exists here.
    """
    folder = existing_default()
    if folder is None:
        raise WrongUsage(f"There is no dataset/ or raw/ here. Name a folder: {example}")
    return folder


def optional_path(path: str | Path | None) -> Path | None:
    """A path that may be left out."""
    return None if path is None else Path(path)


def optional_table(path: str | Path | None, option: str) -> Path | None:
    """A table that may be left out.

    Raises:
        WrongUsage: there is no such file.
    """
    if path is not None and not Path(path).is_file():
        raise WrongUsage(f"{option} '{path}' is no file.")
    return optional_path(path)


def names(given: str | Path | Sequence[str | Path]) -> list[str]:
    """One name or several, of runs or photos, as a list."""
    return [str(given)] if isinstance(given, str | Path) else [str(one) for one in given]
