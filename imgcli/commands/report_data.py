"""The content of a report: read from the run, its dataset, and what both are evaluated to."""

import platform
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shlex import join, quote
from typing import Literal

import numpy as np

from imgcli import __version__, ledger
from imgcli.commands.check_labels import known_issues
from imgcli.commands.learning_curve import is_probe, known_curve, stored_curve
from imgcli.commands.report_figures import report_figures
from imgcli.commands.slices import slices_of
from imgcli.commands.training_config import train_command
from imgcli.errors import RunError
from imgcli.evaluation import explanations_io, predictions_io
from imgcli.evaluation.evaluate import gap_sentence
from imgcli.evaluation.label_errors import labels_sample_size
from imgcli.evaluation.merges.suggest import confused_classes, merges_sample_size
from imgcli.photos.dataset import leaks, listed_photos, manifest_samples, where_of
from imgcli.photos.layout import find_manifest
from imgcli.photos.manifest import Manifest
from imgcli.photos.thumbnail_cache import cached_thumbnails
from imgcli.records import Predictions, Samples, Split
from imgcli.report.page.context import Evaluated, Missing, Report
from imgcli.report.page.evidence import PhotoEvidence
from imgcli.report.page.html import Thumbnails
from imgcli.report.terminal.runs import leaking
from imgcli.runs import Run, named
from imgcli.text import count

PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pillow")


def report_data(run: Run, data: Path, *, figures: bool = True) -> Report:
    """All that the report of a run shows, by its stored predictions.

    Args:
        data: the dataset folder.
        figures: whether to draw those that are missing or show something else now.

    Raises:
        RunError: the run's files are damaged, or not of one training.
    """
    folds, test = _evaluated(run, "folds"), _evaluated(run, "test")
    evaluated = folds or test
    deciding = predictions_io.for_decisions(folds.predictions) if folds else None
    confused = confused_classes(deciding) if deciding else None
    known = known_issues(run, deciding) if deciding else None
    explanations = explanations_io.load(run)
    manifest = find_manifest(data)
    samples, split = _dataset(data, manifest, evaluated)
    return Report(
        run=run.folder.name,
        made=f"{datetime.now():%Y-%m-%d %H:%M}",
        model=run.read_json("model.json"),
        data=str(data),
        figures=report_figures(run, evaluated) if figures else {},
        commands=list(_commands(run, data, manifest, folds, test)),
        versions=_versions(),
        missing=list(_missing(run, data, folds, test, explanations)),
        warnings=list(_warnings(run, data, manifest, evaluated, samples, split)),
        evaluated=evaluated,
        tested=test.evaluation if folds and test else None,
        evaluations=ledger.evaluations(run) or None,
        merges=confused.merges if confused else None,
        confused=[pair.reason() for pair in confused.others] if confused else (),
        undecided=[pair.reason() for pair in confused.undecided] if confused else (),
        issues=known.issues if known else None,
        labels_summary=known.summary if known else "",
        merges_sample_size=merges_sample_size(deciding) if deciding else None,
        labels_sample_size=labels_sample_size(deciding) if deciding else None,
        samples=samples,
        split=split,
        slices=slices_of(run, data, evaluated.predictions) if evaluated else None,
        evidence=evidence_of(run, explanations),
        evidence_held_out=explanations is not None and explanations.held_out,
    )


def thumbnails_of(report: Report, run: Run) -> Thumbnails:
    """Thumbnails of the photos of the report's dataset, without those that have changed."""
    samples = report.samples
    digests = {} if samples is None else dict(zip(samples.paths, samples.digests, strict=True))
    return partial(
        cached_thumbnails,
        where_of(Path(report.data)),
        digests={path: digest for path, digest in digests.items() if digest},
        among=listed_photos(Path(report.data), run.config.data),
    )


# --- evaluation ---------------------------------------------------------------------------------


def _evaluated(run: Run, on: Literal["folds", "test"]) -> Evaluated | None:
    """The run's predictions of one part, evaluated; None without such predictions."""
    name = predictions_io.NAMES[on]
    if not (run.folder / name).is_file():
        return None
    _, loaded = predictions_io.load([run], on)
    (stored,) = loaded.values()
    if list(stored.predictions.classes) != run.read_json("model.json").get("classes"):
        again = "imgcli evaluate --folds 10" if on == "folds" else "imgcli evaluate"
        raise RunError(
            f"'{run.folder / name}' is not of this run: its classes are not those of the model. "
            f"Remove it and evaluate the run again: {again} --run {quote(named(run))}"
        )
    evaluation = predictions_io.pooled(stored)
    gap = gap_sentence(evaluation, is_probe(run), known_curve(run, evaluation))
    return Evaluated(stored.predictions, evaluation, gap)


def evidence_of(run: Run, found: explanations_io.Explanations | None) -> dict[str, PhotoEvidence]:
    """What `imgcli explain` has found in mistakes, by path."""
    if found is None:
        return {}
    names = run.read_json("model.json")["classes"]
    return {
        path: PhotoEvidence(names[found.predicted[i]], names[found.labels[i]], evidence, box)
        for i, (path, evidence, box) in enumerate(
            zip(found.paths, found.maps, found.boxes, strict=True)
        )
    }


# --- the dataset --------------------------------------------------------------------------------


def _dataset(
    data: Path, manifest: Manifest | None, evaluated: Evaluated | None
) -> tuple[Samples | None, Split | None]:
    """The photos and their parts by the manifest; without one, the photos predicted."""
    if manifest is not None:
        return manifest_samples(data, manifest)
    if evaluated is None:
        return None, None
    known = evaluated.predictions
    samples = Samples(
        data, known.paths, known.targets, known.groups, ("",) * len(known), known.classes
    )
    return samples, Split({known.on: np.arange(len(known))})


def _warnings(
    run: Run,
    data: Path,
    manifest: Manifest | None,
    evaluated: Evaluated | None,
    samples: Samples | None,
    split: Split | None,
) -> Iterator[str]:
    """Reasons to distrust figures of the report."""
    if evaluated is not None:
        predictions = evaluated.predictions
        if samples is not None and manifest is not None:
            if changed := _changed(predictions, samples):
                yield (
                    f"Of {count(len(predictions), 'evaluated photo')}, {changed:,} are not what "
                    f"'{data}' has in their places now: it is another dataset, or was split again. "
                    "The figures are of the photos as they were; name the dataset of the run with "
                    "--data."
                )
        if left := predictions_io.left_out_sentence(run, predictions):
            yield left
        if gone := predictions_io.not_in(data, predictions):
            yield f"Not in '{data}' any more: {count(gone, 'evaluated photo')}."
    if samples is not None and split is not None:
        yield from leaking(leaks(samples, split), grouped=_is_grouped(run, manifest))


def _is_grouped(run: Run, manifest: Manifest | None) -> bool:
    """Whether groups are more than duplicates."""
    return bool(run.config.data.group_by or (manifest and manifest.recipe.group_by))


def _changed(predictions: Predictions, samples: Samples) -> int:
    """How many predictions are of photos that the dataset does not have in their rows."""
    now = dict(enumerate(zip(samples.paths, samples.digests, strict=True)))
    then = predictions.digests or [now.get(i, ("", ""))[1] for i in predictions.indices.tolist()]
    rows = zip(predictions.indices.tolist(), predictions.paths, then, strict=True)
    return sum(now.get(row) != (path, digest) for row, path, digest in rows)


# --- text ---------------------------------------------------------------------------------------


def _missing(
    run: Run,
    data: Path,
    folds: Evaluated | None,
    test: Evaluated | None,
    explanations: explanations_io.Explanations | None,
) -> Iterator[Missing]:
    """What the report lacks, and the commands that make it."""
    name = quote(named(run))
    if folds is None:
        first = "the accuracy on held-out photos" if test is None else "the spread over folds"
        yield Missing(
            f"{first}, classes to merge, labels to review",
            f"imgcli evaluate --folds 10 --run {name}",
        )
    elif explanations is None:
        if data.is_dir() and (folds.predictions.preds != folds.predictions.targets).any():
            yield Missing("where in the mistakes the evidence is", f"imgcli explain --run {name}")
    if test is None:
        yield Missing(
            "the score on the sealed test part, to be taken once, at the end",
            f"imgcli evaluate --run {name}",
        )
    if not data.is_dir():
        yield Missing(
            f"the photos: there is no '{data}'", f"imgcli report --run {name} --data FOLDER"
        )


def _commands(
    run: Run, data: Path, manifest: Manifest | None, folds: Evaluated | None, test: Evaluated | None
) -> Iterator[str]:
    """The commands that lead to this report, as they can be typed again."""
    name = named(run)
    if manifest is not None:
        recipe = manifest.recipe.chosen()
        given = [(key, v) for key, v in recipe.items() if v is not None and key != "group_by"]
        given += [("group_by", spec) for spec in manifest.recipe.group_by]
        options = [w for key, v in given for w in (f"--{key.replace('_', '-')}", str(v))]
        yield join(["imgcli", "split", manifest.source, "--out", str(data), *options])
    yield train_command(run.config, run.data, run.folder.parent)
    if folds is not None:
        on = ["--on", "all"] if folds.predictions.on == "all" else []
        repeats = folds.evaluation.repeats
        repeated = ["--repeats", str(repeats)] if repeats > 1 else []
        words = ["evaluate", "--folds", str(folds.predictions.folds), *repeated, *on]
        yield join(["imgcli", *words, "--run", name])
        yield join(["imgcli", "suggest-merges", "--run", name])
    if stored_curve(run) is not None:
        yield join(["imgcli", "learning-curve", "--run", name])
    if test is not None:
        yield join(["imgcli", "evaluate", "--run", name])
    yield join(["imgcli", "report", "--run", name])


def _versions() -> Mapping[str, str]:
    """Of imgcli and the packages it uses, as installed here."""
    found = {"imgcli": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | {"system": f"{platform.system()} {platform.machine()}"}
