"""`imgcli.check`: faulty files, duplicates, outliers and wrong labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.commands.check_fix import Fixed, kinds_in, move_photos, plan_in
from imgcli.commands.check_labels import LabelsResult, check_labels
from imgcli.commands.folders import default_folder, existing_default, optional_path
from imgcli.commands.results import Result
from imgcli.errors import WrongUsage
from imgcli.folder_names import Levels
from imgcli.progress import note

if TYPE_CHECKING:
    from imgcli.photos.check import Checked
    from imgcli.photos.quality import Issue

SHEET = Path(".imgcli/check/contact.html")
LABELS_SHEET = SHEET.with_name("labels.html")  # where only labels are checked

FINDINGS = ("unreadable", "duplicates", "near_duplicates", "conflicts", "issues")


@dataclass(frozen=True, repr=False)
class CheckResult(Result):
    """The findings of a check, and the photos it moved."""

    folder: Path
    found: "Checked | None" = None  # None where only labels were checked, or a plan carried out
    labels: LabelsResult | None = None  # with `labels`
    fixed: Fixed | None = None  # with `fix`
    plan: Path | None = None  # the relabel plan that was carried out
    sheet: Path | None = None  # the contact sheet; None where it could not be written

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "folder", str(self.folder)
        if self.found:
            yield "photos", f"{len(self.found.places):,} in {len(self.found.classes):,} classes"
            yield from ((name, f"{len(getattr(self.found, name)):,}") for name in FINDINGS)
        if self.labels:
            yield "labels to review", f"{len(self.labels.issues):,}"
        if self.fixed:
            yield "moved", f"{len(self.fixed.moved):,}"
        yield "contact sheet", str(self.sheet)

    def to_json(self) -> dict[str, Any]:
        fixed = {"fixed": self.fixed.to_json()} if self.fixed else {}
        if self.plan:
            return {"dir": str(self.folder), "plan": str(self.plan), **fixed}
        return {
            **(self.labels.to_json() if self.labels else {}),
            **(_found_json(self.found) if self.found else {}),
            **fixed,
            "sheet": None if self.sheet is None else str(self.sheet),
        }


def check(
    folder: str | Path | None = None,
    *,
    fix: str | Sequence[str] = (),
    dry_run: bool = False,
    labels: bool = False,
    run: str = "latest",
    data: str | Path | None = None,
    plan: str | Path | None = None,
    sheet: str | Path | None = None,
    classes_at: str | int | None = None,
    parts: Mapping[str, str] | Sequence[str] = (),
) -> CheckResult:
    """Find faulty files, duplicates, outliers and, with `labels`, wrong labels; move on request.

    Args:
        folder: class folders or a dataset; raw/, or else dataset/, by default. With `labels` and
            no folder only labels are checked.
        fix: kinds of findings to move into quarantine/, or a relabel plan to carry out.
        dry_run: only list the photos that `fix` would move.
        labels: find labels that are probably wrong, by the out-of-fold predictions of `run`.
        data: dataset for `labels`; by default the one of the run.
        plan: where `labels` writes its plan; by default relabel.csv. No file is overwritten.
        sheet: the contact sheet; by default .imgcli/check/contact.html, or labels.html beside it
            where only labels are checked.
        classes_at: the level of the class folders below `folder`, or a pattern of them.
        parts: as of `import_photos`.

    Raises:
        WrongUsage: choices that exclude each other, or an unknown kind.
        DataError: the folder, the plan or the dataset of the run cannot be used.
        RunError: no such run, or it was not evaluated with folds.
        StorageError: `plan` exists with other content, or the folder is in use.
    """
    levels = Levels.of(classes_at, parts)
    fixes = [fix] if isinstance(fix, str) else list(fix)
    root, data, plan = optional_path(folder), optional_path(data), optional_path(plan)
    if dry_run and not fixes:
        raise WrongUsage("--dry-run goes with --fix, such as --fix duplicates.")
    if not labels and (plan or data or run != "latest"):
        raise WrongUsage("--run, --data and --plan go with --labels.")
    if edited := plan_in(fixes):
        if labels or len(fixes) > 1:
            raise WrongUsage(f"--fix {edited} carries out a plan; give nothing else to fix or do.")
        return _relabel(edited, root, levels, dry_run=dry_run)
    kinds = kinds_in(fixes)
    if labels:
        from imgcli.run_lookup import find_run

        issues = check_labels(find_run(run), data, plan)
        result = CheckResult(issues.data, labels=issues)
    if not labels or root or kinds:
        checked = _check(root or default_folder("imgcli check DIR"), kinds, levels, dry_run=dry_run)
        result = replace(checked, labels=issues if labels else None)
    return replace(result, sheet=_write_sheet(result, optional_path(sheet), levels))


def _relabel(plan: Path, root: Path | None, levels: Levels, *, dry_run: bool) -> CheckResult:
    from imgcli.photos.relabel import planned

    root, moves = planned(plan, root, existing_default() or Path("raw"), levels)
    return CheckResult(root, fixed=move_photos(root, moves, dry_run=dry_run), plan=plan)


def _check(root: Path, kinds: list[str], levels: Levels, *, dry_run: bool) -> CheckResult:
    from imgcli.photos import quarantine
    from imgcli.photos.check import check_folder, moves

    if kinds:
        quarantine.refuse_split(root)
    found = check_folder(root, levels=levels)
    if not kinds:
        return CheckResult(root, found)
    fixed = move_photos(root, moves(found, kinds), dry_run=dry_run)
    return CheckResult(root, found, fixed=fixed)


def _found_json(found: "Checked") -> dict[str, Any]:
    return {
        "dir": str(found.root),
        "photos": len(found.places),
        "files": found.files,
        "classes": found.classes,
        "parts": found.parts,
        "unreadable": [vars(item) for item in found.unreadable],
        "duplicates": [list(group.paths) for group in found.duplicates],
        "near_duplicates": [list(group.paths) for group in found.near_duplicates],
        "distances": [list(group.distances) for group in found.near_duplicates],
        "conflicts": [
            {"kind": c.kind, "paths": list(c.paths), c.kind: list(c.names)} for c in found.conflicts
        ],
        "issues": [_issue_json(issue) for issue in found.issues],
        "associations": [vars(association) for association in found.associations],
        "metadata": found.metadata,
    }


def _issue_json(issue: "Issue") -> dict[str, Any]:
    """An issue without what it does not have: a path, a class, further paths."""
    document = {
        "kind": issue.kind,
        "path": issue.path,
        "class": issue.label,
        "paths": list(issue.paths) or None,
        "detail": issue.detail,
        "group_by": issue.group_by,
    }
    return {key: value for key, value in document.items() if value is not None}


def _write_sheet(result: CheckResult, sheet: Path | None, levels: Levels) -> Path | None:
    """Write the contact sheet; None where its default place cannot be written."""
    from imgcli import aside
    from imgcli.photos.layout import find_photos
    from imgcli.photos.views import thumbnails
    from imgcli.report.page import contact_sheet

    default = SHEET if result.found else LABELS_SHEET
    file, shown = sheet or default, _for_the_sheet(result)
    root = Path(shown["dir"])
    layout = find_photos(root, levels)
    # Photos of wrong labels, maybe of another folder, are in the dataset: see `relabel.origins`.
    labelled = (one["path"] for one in shown.get("labels", ()))
    among = {*layout.photos, *(item.path for item in layout.rejected), *labelled}
    photos = layout.manifest.photos if layout.manifest and layout.in_place else ()
    digests = {photo.path: photo.sha256 for photo in photos}
    made = partial(thumbnails, layout.where, digests=digests, among=among)
    page = contact_sheet.page(shown, made)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = aside.write_page(file, page)
    except OSError as error:
        if sheet is not None:
            raise
        note(f"The contact sheet '{file}' cannot be written ({error.strerror}); see --sheet.")
        return None
    if kept:
        note(kept)
    return file


def _for_the_sheet(result: CheckResult) -> dict[str, Any]:
    """The document with all keys, and all paths relative to its folder."""
    document = result.to_json()
    if not result.labels:
        return document
    data, root = document["data"], document["dir"]
    labels = [{**one, "path": relpath(f"{data}/{one['path']}", root)} for one in document["labels"]]
    unchecked: dict[str, Any] = {**dict.fromkeys((*FINDINGS, "distances"), ()), "metadata": {}}
    return {**unchecked, **document, "labels": labels}
