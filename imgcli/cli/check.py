"""`imgcli check`: is the data any good?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.options import Json, Quiet, RunData, RunName
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from imgcli.photos.check import Checked

SHEET = Path(".imgcli/check/contact.html")

Dir = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        show_default="raw/, or else dataset/",
        help="Folder of class folders, or a dataset with train/ and test/. --labels without DIR "
        "looks at labels alone.",
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
        "gps, animated, changed. Of duplicates one per class stays. Or a plan of --labels, such as "
        "relabel.csv: its photos move to their new class folders.",
    ),
]
Labels = Annotated[
    bool,
    typer.Option(
        "--labels",
        help="Find photos that are probably labelled wrong, by the folds of a run, and write a "
        "plan to edit.",
    ),
]
Plan = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        metavar="FILE",
        show_default="relabel.csv",
        help="Where --labels writes its plan; one that exists is never overwritten.",
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
    labels: Labels = False,
    run: RunName = "latest",
    data: RunData = None,
    plan: Plan = None,
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

    --labels asks a run, judged by `imgcli evaluate --folds 10`, which photos
    look like another class than the one they lie in. It writes relabel.csv:
    delete rows, or write another class as new_label; then give it to --fix.

    Examples:

      imgcli check raw/

      imgcli check raw/ --fix unreadable,near-duplicates

      imgcli check --labels

      imgcli check --fix relabel.csv
    """
    from imgcli.cli.fixed import kinds_in, plan_in, relabel_and_show
    from imgcli.cli.labelled import look_at_labels
    from imgcli.progress import be_quiet
    from imgcli.runs import find_run

    be_quiet(quiet)
    fixes = fix or []
    if dry_run and not fixes:
        raise WrongUsage("--dry-run goes with --fix, such as --fix duplicates.")
    if not labels and (plan or data or run != "latest"):
        raise WrongUsage("--run, --data and --plan go with --labels.")
    if edited := plan_in(fixes):
        if labels or len(fixes) > 1:
            raise WrongUsage(f"--fix {edited} carries out a plan; give nothing else to fix or do.")
        relabel_and_show(edited, folder, _usual(), dry_run=dry_run, json=json)
        return
    kinds = kinds_in(fixes)
    document = look_at_labels(find_run(run), data, plan) if labels else {}
    if folder or kinds or not labels:
        _check(document, folder or _usual(), kinds, dry_run=dry_run)
    document["sheet"] = _write_sheet(document, sheet)
    _show(document, json=json)


def _check(document: dict[str, Any], root: Path, kinds: list[str], *, dry_run: bool) -> None:
    """Add to the document what is found in `root`, and what was done about it."""
    from imgcli.cli.fixed import move_or_say
    from imgcli.collect import provenance
    from imgcli.photos import quarantine
    from imgcli.photos.check import check_folder
    from imgcli.photos.check_fix import moves

    if kinds:
        quarantine.refuse_split(root)
    checked = check_folder(root, provenance.read)
    document |= _document(checked)
    if kinds:
        document["fixed"] = move_or_say(root, moves(checked, kinds), dry_run=dry_run)


def _usual() -> Path:
    return Path("dataset") if Path("dataset").is_dir() and not Path("raw").is_dir() else Path("raw")


def _document(checked: "Checked") -> dict[str, Any]:
    return {
        "dir": str(checked.root),
        "photos": len(checked.places),
        "files": checked.files,
        "classes": checked.classes,
        "parts": checked.parts,
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


def _write_sheet(document: dict[str, Any], sheet: Path | None) -> str | None:
    """Draw the contact sheet; None where its usual place cannot be written."""
    from functools import partial

    from imgcli import aside
    from imgcli.cli.labelled import for_the_sheet
    from imgcli.photos.places import find_places
    from imgcli.photos.thumbnails import thumbnails
    from imgcli.progress import note
    from imgcli.report.page import contact_sheet
    from imgcli.text import printable

    file, root = sheet or SHEET, Path(document["dir"])
    shown = for_the_sheet(document) if "labels" in document else document
    places, unused, _ = find_places(root)
    # Those of other labels, which may lie in another folder, are of the dataset: see `origins`.
    among = {*places, *(r.path for r in unused), *(o["path"] for o in shown.get("labels", ()))}
    page = contact_sheet.page(shown, partial(thumbnails, root, digests={}, among=among))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = aside.write_page(file, page)
    except OSError as error:
        if sheet is not None:
            raise
        note(f"The contact sheet '{file}' cannot be written ({error.strerror}); see --sheet.")
        return None
    if kept:
        note(printable(kept))
    return str(file)


def _show(document: dict[str, Any], *, json: bool) -> None:
    from shlex import quote

    from rich.text import Text

    from imgcli.cli.console import show, show_json
    from imgcli.report.terminal import check
    from imgcli.report.terminal import labels as label_tables
    from imgcli.text import printable

    if json:
        show_json(document)
        return
    root, lines = quote(document["dir"]), []
    if document["sheet"]:
        lines.append(f"To look at: {document['sheet']}")
    if "fixed" in document:
        lines += check.fixed(document["fixed"], f"imgcli restore {root}")
    lines += _next_steps(document, root)
    show(
        *(check.found(document) if "files" in document else []),
        *(
            [label_tables.table(document["labels"], document["too_few"])]
            if "labels" in document
            else []
        ),
        *(Text(printable(line)) for line in lines),
    )


def _next_steps(document: dict[str, Any], root: str) -> list[str]:
    from shlex import quote

    if document.get("plan"):
        plan = quote(document["plan"])
        return [
            f"To edit: {plan}, where a row that is deleted leaves its photo as it is",
            f"Next: imgcli check --fix {plan}",
        ]
    if "labels" in document:
        return []
    return [f"Next: imgcli {'train --data' if document['parts'] else 'split'} {root}"]
