"""`imgcli.compare`: which of several runs is better on the same photos, with significance tests."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgcli import staging
from imgcli.aside import files_in
from imgcli.commands.results import Tabular, image_html
from imgcli.errors import StorageError, WrongUsage
from imgcli.evaluation import predictions_io
from imgcli.evaluation.compare import Pair, align, same_folds
from imgcli.evaluation.compare import compare as compare_predictions
from imgcli.evaluation.predictions_io import Stored
from imgcli.files import write_atomic, write_json
from imgcli.progress import note
from imgcli.report import comparison
from imgcli.report.plots import comparison as plots
from imgcli.report.plots import training
from imgcli.report.plots.style import save
from imgcli.report.table_formats import TableRecord
from imgcli.run_lookup import find_runs
from imgcli.text import listed, percent, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOCUMENT = "comparison.json"
TABLES = (DOCUMENT, "comparison.csv", "folds.csv", "loss.csv")
DRAWINGS = ("boxes.png", "differences.png", "loss.png")  # each with its SVG beside it


@dataclass(frozen=True, eq=False, repr=False)
class CompareResult(Tabular):
    """Runs on the same photos, and the difference of every two; the best two first."""

    on: str  # "folds" or "test"
    runs: tuple[Mapping[str, Any], ...]  # figures and options of each, as in the JSON document
    pairs: tuple[Pair, ...]
    paired_on: int  # photos that all runs have predicted
    left_out: int  # photos that only some have
    same_folds: bool
    files: tuple[Path, ...] = ()  # figures and tables
    sha256: Mapping[str, str] = field(default_factory=dict)  # of each file, by its name

    @property
    def best(self) -> str:
        """The folder of the most accurate run."""
        return self.pairs[0].runs[0]

    @property
    def difference(self) -> float:
        """Accuracy of the best run minus that of the second."""
        return self.pairs[0].differences["accuracy"].value

    @property
    def p_value(self) -> float:
        """Of that difference, corrected for the number of pairs."""
        return self.pairs[0].differences["accuracy"].p_value

    def to_json(self) -> dict[str, Any]:
        return {
            "on": self.on,
            "runs": [dict(run) for run in self.runs],
            "best": self.best,
            "between": list(self.pairs[0].runs),
            "difference": self.difference,
            "p_value": self.p_value,
            "paired_on": self.paired_on,
            "left_out": self.left_out,
            "same_folds": self.same_folds,
            "pairs": [pair.to_json() for pair in self.pairs],
            "files": [str(file) for file in self.files],
            "sha256": dict(self.sha256),
        }

    def tables(self) -> dict[str, TableRecord]:
        """The tables "runs" and "pairs"."""
        return comparison.comparison_tables(self.to_json())

    def figure(self, name: Literal["differences", "boxes"] = "differences") -> "Figure":
        """The differences to the best run, or the box plots of all runs."""
        drawings = {"differences": plots.forest, "boxes": plots.boxes}
        if name not in drawings:
            raise WrongUsage(f"No figure '{name}'; there are {listed(list(drawings))}.")
        return drawings[name](self.to_json())

    def _repr_html_(self) -> str:
        return f"{super()._repr_html_()}{image_html(self.figure())}"

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "compared on", f"{self.on} (n = {self.paired_on:,})"
        yield from ((run["run"], percent(run["accuracy"]["value"])) for run in self.runs)
        yield "best", self.best
        yield "ahead by", f"{100 * self.difference:+.1f} points, p = {self.p_value:.3g}"


def compare(
    runs: Sequence[str | Path],
    *,
    on: Literal["folds", "test"] | None = None,
    window: int = 50,
    out: str | Path | None = None,
    seed: int = 0,
) -> CompareResult:
    """Compare two or more runs by their stored predictions; write figures and tables.

    Args:
        runs: each "latest", a folder's name under runs/, or a path.
        on: out-of-fold predictions or those of the test part; by default the folds, where all runs
            have them.
        window: batches of the loss curves' running mean.
        out: folder of figures and tables; by default comparison/ beside the first run. An earlier
            comparison in it is replaced.
        seed: of the resampling.

    Raises:
        WrongUsage: fewer than two runs, or one named twice.
        RunError: a run without such predictions.
        DataError: runs of different classes or photos.
        StorageError: `out` has other files.
    """
    found = find_runs([str(run) for run in runs])
    if len(found) < 2:
        raise WrongUsage(
            f"One run, '{found[0].folder}', has nothing to be compared with; name two or more."
        )
    out = found[0].folder.parent / "comparison" if out is None else Path(out)
    _check_replaceable(out)
    part, stored = predictions_io.load(found, on)
    aligned, left_out = align(
        {
            name: predictions_io.noted_for_decisions(one.run, one.predictions)
            for name, one in stored.items()
        }
    )
    pairs = compare_predictions(aligned, seed)
    first, *others = aligned.values()
    result = CompareResult(
        on=part,
        runs=tuple(
            {
                **predictions_io.run_json(one, aligned[name], seed),
                "options": options,
                "asked": predictions_io.asked(one.run, options),
            }
            for (name, one), options in zip(
                stored.items(), predictions_io.differing(found), strict=True
            )
        ),
        pairs=tuple(pairs),
        paired_on=len(first),
        left_out=left_out,
        same_folds=all(same_folds(first, other) for other in others),
    )
    return _store(result, stored, window, out)


def _store(
    result: CompareResult, stored: Mapping[str, Stored], window: int, out: Path
) -> CompareResult:
    """Write tables and figures into one folder, whole."""
    document = result.to_json()
    labels = comparison.labels(document)
    for one in stored.values():
        training.check(one.run)
    found = {
        name: plots.losses(one.run.folder / "history.csv", one.histories, window)
        for name, one in stored.items()
    }
    curves = {name: curve for name, curve in found.items() if curve is not None}
    drawings = {"boxes.png": plots.boxes(document), "differences.png": plots.forest(document)}
    if curves:
        by_label = {labels[name]: curve for name, curve in curves.items()}
        drawings["loss.png"] = plots.loss_curves(
            by_label, plots.loss_notes(document, labels, curves)
        )
    texts = {
        "comparison.csv": comparison.comparison_csv(document),
        "folds.csv": comparison.folds_csv(document),
        "loss.csv": plots.losses_csv(curves),
    }
    files = tuple(out / name for name in (*drawings, *texts))
    with staging.staged_folder(out, replace=True, user_files=_user_files) as staged:
        for name, text in texts.items():
            write_atomic(staged.folder / name, text)
        for name, figure in drawings.items():
            save(figure, staged.folder / name)
        result = replace(result, files=files, sha256=_digests(staged.folder))
        write_json(staged.folder / DOCUMENT, result.to_json())
    if staged.kept:
        note(printable(staged.kept))
    return result


# --- the folder ---------------------------------------------------------------------------------


def _check_replaceable(out: Path) -> None:
    """Replace nothing but an earlier comparison."""
    staging.recover(out, _user_files)
    if out.exists() and not out.is_dir():
        raise StorageError(f"'{out}' is a file. Choose another --out, for a folder.")
    if out.is_dir():
        names = {file.name.replace(".svg", ".png") for file in out.iterdir()}
        if others := names - {*TABLES, *DRAWINGS}:
            raise StorageError(
                f"'{out}' holds more than a comparison: '{min(others)}'. Choose another --out."
            )


def _user_files(folder: Path) -> list[str]:
    """The files that were changed after the comparison that wrote the folder, or added to it."""
    known: Any = {}
    with suppress(OSError, ValueError, LookupError, TypeError):
        known = json.loads((folder / DOCUMENT).read_bytes())["sha256"]
    found = _digests(folder)
    return sorted(
        name for name in found if not isinstance(known, dict) or known.get(name) != found[name]
    )


def _digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a comparison but of its own document."""
    names = [name for name in files_in(folder) if name != DOCUMENT]
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in names}
