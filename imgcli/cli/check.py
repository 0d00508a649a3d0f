"""`imgcli check`: is the data any good?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.options import Json, Quiet
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from imgcli.photos.check import Checked
    from imgcli.photos.quarantine import Move

SHEET = Path(".imgcli/check/contact.html")

Dir = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        show_default="raw/, or else dataset/",
        help="Folder of class folders, or a dataset with train/ and test/.",
    ),
]
Fix = Annotated[
    list[str] | None,
    typer.Option(
        "--fix",
        metavar="KIND,...",
        show_default=False,
        help="Move the photos of these kinds into quarantine/ beside DIR: unreadable, duplicates, "
        "near-duplicates, conflicts, placeholder, tiny, blank, dark, blurred, shape, extension, "
        "gps, animated, changed. Of duplicates one per class stays.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what --fix would move.")]
Sheet = Annotated[
    Path | None,
    typer.Option(
        "--sheet",
        metavar="FILE",
        show_default=str(SHEET),
        help="Where to write the contact sheet, a page that shows what was found.",
    ),
]


def check(
    folder: Dir = None,
    fix: Fix = None,
    dry_run: DryRun = False,
    sheet: Sheet = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find what is wrong with photos, before a network learns it.

    Unreadable files, duplicates and near-duplicates, the same photo in two
    classes or in train and test, tiny, blank, dark, blurred and oddly shaped
    photos, and whether size, format or source give the class away. Nothing is
    changed, unless --fix moves photos into quarantine/; `imgcli restore` moves
    them back.

    Examples:

      imgcli check raw/

      imgcli check raw/ --fix unreadable,near-duplicates
    """
    from imgcli.collect import provenance
    from imgcli.photos import quarantine
    from imgcli.photos.check import check_folder
    from imgcli.photos.fixing import moves
    from imgcli.progress import be_quiet

    be_quiet(quiet)
    kinds = _kinds(fix or [])
    if dry_run and not kinds:
        raise WrongUsage("--dry-run goes with --fix, such as --fix duplicates.")
    root = folder or _usual()
    if kinds:
        quarantine.refuse_split(root)
    checked = check_folder(root, provenance.read)
    document = {**_document(checked), "sheet": None}
    document["sheet"] = _write_sheet(document, root, sheet)
    chosen = moves(checked, kinds)
    if kinds:
        document["fixed"] = _fixed(root, chosen, dry_run=dry_run)
    _show(document, root, json=json)


def _kinds(given: list[str]) -> list[str]:
    """The kinds to fix: given one by one or joined by commas."""
    from imgcli.photos.fixing import KINDS

    named = [word.strip().replace("_", "-") for words in given for word in words.split(",")]
    unknown = [word for word in named if word not in KINDS]
    if unknown:
        raise WrongUsage(f"--fix {unknown[0]} is not a kind; there are {', '.join(KINDS)}.")
    return list(dict.fromkeys(named))


def _usual() -> Path:
    return Path("dataset") if Path("dataset").is_dir() and not Path("raw").is_dir() else Path("raw")


def _document(checked: "Checked") -> dict[str, Any]:
    return {
        "dir": str(checked.root),
        "photos": len(checked.places),
        "files": checked.files,
        "classes": checked.classes,
        "unreadable": [vars(item) for item in checked.unreadable],
        "duplicates": [list(group.paths) for group in checked.duplicates],
        "near_duplicates": [list(group.paths) for group in checked.near_duplicates],
        "distances": [list(group.distances) for group in checked.near_duplicates],
        "conflicts": [
            {"kind": c.kind, "paths": list(c.paths), c.kind: list(c.names)}
            for c in checked.conflicts
        ],
        "issues": [
            {
                "kind": issue.kind,
                **({"path": issue.path} if issue.path is not None else {}),
                **({"class": issue.label} if issue.label is not None else {}),
                **({"paths": list(issue.paths)} if issue.paths else {}),
                "detail": issue.detail,
            }
            for issue in checked.issues
        ],
        "associations": [vars(association) for association in checked.associations],
        "metadata": checked.metadata,
    }


def _write_sheet(document: dict[str, Any], root: Path, sheet: Path | None) -> str | None:
    """Draw the contact sheet; None where its usual place cannot be written."""
    from imgcli import storage
    from imgcli.photos.thumbnails import thumbnails
    from imgcli.progress import note
    from imgcli.report import contact

    file = sheet or SHEET
    page = contact.page(document, lambda paths, side: thumbnails(root, paths, side, {}))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        storage.write_atomic(file, page)
    except OSError as error:
        if sheet is not None:
            raise
        note(f"The contact sheet '{file}' cannot be written ({error.strerror}); see --sheet.")
        return None
    return str(file)


def _fixed(root: Path, chosen: "list[Move]", *, dry_run: bool) -> dict[str, Any]:
    """Move what was chosen, or only say what would be moved."""
    from os.path import relpath

    from imgcli.photos import quarantine

    if dry_run or not chosen:
        return {"quarantine": None, "moved": [], "left": [], "would_move": list(map(vars, chosen))}
    moved = quarantine.quarantine(root, chosen)
    done = set(moved.done)
    return {
        "quarantine": relpath(moved.batches[0]),
        "moved": [vars(move) for move in chosen if move.path in done],
        "left": [vars(item) for item in moved.left],
    }


def _show(document: dict[str, Any], root: Path, *, json: bool) -> None:
    from shlex import quote

    from rich.text import Text

    from imgcli.cli.console import show, show_json
    from imgcli.report import checking
    from imgcli.wording import printable

    if json:
        show_json(document)
        return
    lines = []
    if document["sheet"]:
        lines.append(f"To look at: {document['sheet']}")
    if "fixed" in document:
        lines += checking.fixed(document["fixed"], f"imgcli restore {quote(str(root))}")
    lines.append(f"Next: imgcli split {quote(str(root))}")
    show(*checking.found(document), *(Text(printable(line)) for line in lines))
