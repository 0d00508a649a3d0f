"""What `imgcli report` shows, gathered from the run, its dataset and the rooms that judge."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imgcli.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.figure import Figure

    from imgcli.photos.manifest import Manifest
    from imgcli.records import Predictions, Samples, Split
    from imgcli.report.page.context import Judged, Missing, Report
    from imgcli.report.page.thumbnails import Thumbnails
    from imgcli.runs import Run

PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pillow")


def material(run: "Run", data: Path | None) -> "Report":
    """Everything that a run's report shows, judged by the predictions that it has.

    Raises:
        RunError: the run's files are damaged, or not of one training.
    """
    from datetime import datetime

    from imgcli import ledger
    from imgcli.cli.labelled import known_issues
    from imgcli.evaluation.label_errors import few_for_labels
    from imgcli.evaluation.merges.suggest import few_for_merges, suggest_merges
    from imgcli.evaluation.predictions_io import for_decisions
    from imgcli.photos.places import find_manifest
    from imgcli.report.page.context import Report

    data = data or run.data
    folds, test = _judged(run, "folds"), _judged(run, "test")
    judged = folds or test
    deciding = for_decisions(folds.predictions) if folds else None
    manifest = find_manifest(data)
    samples, split = _dataset(data, manifest, judged)
    return Report(
        run=run.folder.name,
        made=f"{datetime.now():%Y-%m-%d %H:%M}",
        model=run.read_json("model.json"),
        data=str(data),
        figures=_figures(run, judged),
        commands=list(_commands(run, data, manifest, folds, test)),
        versions=_versions(),
        missing=list(_missing(run, data, folds, test)),
        warnings=list(_warnings(run, data, manifest, judged, samples, split)),
        judged=judged,
        tested=test.evaluation if folds and test else None,
        evaluations=ledger.evaluations(run) or None,
        merges=suggest_merges(deciding) if deciding else None,
        issues=known_issues(run, deciding) if deciding else None,
        few_for_merges=few_for_merges(deciding) if deciding else None,
        few_for_labels=few_for_labels(deciding) if deciding else None,
        samples=samples,
        split=split,
    )


def shown_photos(report: "Report") -> "Thumbnails":
    """Thumbnails of the photos of the report's dataset, those that are still what they were."""
    from functools import partial

    from imgcli.photos.dataset import listed_photos
    from imgcli.photos.thumbnails import thumbnails

    samples = report.samples
    known = {} if samples is None else dict(zip(samples.paths, samples.digests, strict=True))
    return partial(
        thumbnails,
        Path(report.data),
        digests={p: d for p, d in known.items() if d},
        among=listed_photos(Path(report.data)),
    )


# --- judgement ----------------------------------------------------------------------------------


def _judged(run: "Run", on: Literal["folds", "test"]) -> "Judged | None":
    """The run's predictions of one part, judged; None where it has none."""
    from shlex import quote

    from imgcli.evaluation import predictions_io
    from imgcli.evaluation.evaluate import gap_sentence
    from imgcli.report.page.context import Judged
    from imgcli.runs import named

    name = predictions_io.NAMES[on]
    if not (run.folder / name).is_file():
        return None
    _, loaded = predictions_io.load([run], on)
    (one,) = loaded.values()
    if list(one.predictions.classes) != run.read_json("model.json").get("classes"):
        again = "imgcli evaluate --folds 10" if on == "folds" else "imgcli evaluate"
        raise RunError(
            f"'{run.folder / name}' is not of this run: its classes are not those of the model. "
            f"Remove it and judge the run again: {again} --run "
            f"{quote(named(run))}"
        )
    evaluation = predictions_io.pooled(one)
    return Judged(one.predictions, evaluation, gap_sentence(evaluation))


def _figures(run: "Run", judged: "Judged | None") -> "dict[str, Figure]":
    """The figures that there is something to draw of, in the order of the page."""
    from imgcli.evaluation.calibration import reliability
    from imgcli.report.plots import evaluation as evaluation_plots
    from imgcli.report.plots import history as history
    from imgcli.report.plots.class_map import class_map
    from imgcli.report.plots.reliability import reliability as draw_reliability

    found: dict[str, Figure | None] = {}
    if judged is not None:
        evaluation, bins = judged.evaluation, reliability(judged.predictions)
        found["folds"] = evaluation_plots.folds(evaluation) if evaluation.folds else None
        found["precision"] = evaluation_plots.precision(evaluation)
        found["map"] = class_map(judged.predictions, evaluation.confusion)
        found["reliability"] = draw_reliability(evaluation, bins)
    rows = history.rows(run)
    if len({row["epoch"] for row in rows}) > 1:  # else there is no curve
        kept = run.read_json("model.json").get("kept_epoch")
        unit = history.unit(run.config)
        found["history"] = evaluation_plots.history(rows, kept if unit == "epoch" else None, unit)
    return {name: figure for name, figure in found.items() if figure is not None}


# --- the dataset --------------------------------------------------------------------------------


def _dataset(
    data: Path, manifest: "Manifest | None", judged: "Judged | None"
) -> "tuple[Samples | None, Split | None]":
    """The photos and their parts by the manifest; failing that, those that were predicted."""
    import numpy as np

    from imgcli.photos.manifest import PARTS
    from imgcli.records import Samples, Split

    if manifest is not None:
        rows = sorted(manifest.photos, key=lambda photo: photo.path)
        classes = tuple(sorted({photo.label for photo in rows}))
        position = {name: i for i, name in enumerate(classes)}
        parts = np.array([photo.part for photo in rows])
        samples = Samples(
            root=data,
            paths=tuple(photo.path for photo in rows),
            targets=np.array([position[photo.label] for photo in rows]),
            groups=np.array([photo.group for photo in rows]),
            digests=tuple(photo.sha256 for photo in rows),
            classes=classes,
        )
        found = {part: np.flatnonzero(parts == part) for part in PARTS}
        return samples, Split({part: rows for part, rows in found.items() if len(rows)})
    if judged is None:
        return None, None
    said = judged.predictions
    samples = Samples(data, said.paths, said.targets, said.groups, ("",) * len(said), said.classes)
    return samples, Split({said.on: np.arange(len(said))})


def _warnings(
    run: "Run",
    data: Path,
    manifest: "Manifest | None",
    judged: "Judged | None",
    samples: "Samples | None",
    split: "Split | None",
) -> "Iterator[str]":
    """What a reader must know before believing the rest."""
    import numpy as np

    from imgcli.evaluation.predictions_io import left_out_sentence, not_in
    from imgcli.report.terminal.runs import leaking
    from imgcli.text import count

    if judged is not None and samples is not None and manifest is not None:
        strangers = _strangers(judged.predictions, samples)
        if strangers:
            yield (
                f"Of the {count(len(judged.predictions), 'photo')} that were judged, {strangers:,} "
                f"are not what '{data}' holds in their places now: it is another dataset, or was "
                "split again. The figures are of the photos as they were; name the dataset of the "
                "run with --data."
            )
    if judged is not None:
        if left := left_out_sentence(run, judged.predictions):
            yield left
        if gone := not_in(data, judged.predictions):
            yield f"{count(gone, 'photo')} of those judged are not in '{data}' any more."
    if samples is not None and split is not None and split.test is not None:
        others = [samples.groups[rows] for part, rows in split.parts.items() if part != "test"]
        outside = np.concatenate([*others, np.empty(0, np.int64)])
        yield from leaking(len(np.intersect1d(samples.groups[split.test], outside)))


def _strangers(predictions: "Predictions", samples: "Samples") -> int:
    """How many predictions are of photos that the dataset does not have in their rows."""
    now = dict(enumerate(zip(samples.paths, samples.digests, strict=True)))
    then = predictions.digests or [now.get(i, ("", ""))[1] for i in predictions.indices.tolist()]
    judged = zip(predictions.indices.tolist(), predictions.paths, then, strict=True)
    return sum(now.get(row) != (path, digest) for row, path, digest in judged)


# --- words --------------------------------------------------------------------------------------


def _missing(
    run: "Run", data: Path, folds: "Judged | None", test: "Judged | None"
) -> "Iterator[Missing]":
    """What there is no material for, and the commands that make it."""
    from shlex import quote

    from imgcli.report.page.context import Missing
    from imgcli.runs import named

    name = quote(named(run))
    if folds is None:
        what = "how good the run is on photos it has not seen, which classes to merge, wrong labels"
        if test is not None:
            what = "the spread over folds, which classes to merge, wrong labels"
        yield Missing(what, f"imgcli evaluate --folds 10 --run {name}")
    if test is None:
        yield Missing(
            "the score on the sealed test part, to be looked at once, at the end",
            f"imgcli evaluate --run {name}",
        )
    if not data.is_dir():
        yield Missing(
            f"the photos: there is no '{data}'",
            f"imgcli report --run {name} --data FOLDER",
        )


def _commands(
    run: "Run",
    data: Path,
    manifest: "Manifest | None",
    folds: "Judged | None",
    test: "Judged | None",
) -> "Iterator[str]":
    """What was typed to come here, as it would be typed again."""
    from shlex import join

    from imgcli.cli.training_options import typed_train
    from imgcli.runs import named

    name = named(run)
    if manifest is not None:
        yield join(["imgcli", "split", manifest.source, *_recipe_words(manifest, data)])
    yield typed_train(run.config, run.data, run.folder.parent)
    if folds is not None:
        on = ["--on", "all"] if folds.predictions.on == "all" else []
        repeats = folds.evaluation.repeats
        again = ["--repeats", str(repeats)] if repeats > 1 else []
        words = ["evaluate", "--folds", str(folds.predictions.folds), *again, *on]
        yield join(["imgcli", *words, "--run", name])
        yield join(["imgcli", "suggest-merges", "--run", name])
    if test is not None:
        yield join(["imgcli", "evaluate", "--run", name])
    yield join(["imgcli", "report", "--run", name])


def _recipe_words(manifest: "Manifest", data: Path) -> "Iterator[str]":
    from dataclasses import asdict

    yield from ("--out", str(data))
    for name, value in asdict(manifest.recipe).items():
        if value is not None:
            yield from (f"--{name}", str(value))


def _versions() -> "Mapping[str, str]":
    """Of imgcli and what it stands on, as installed where the report is made."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from imgcli import __version__

    found = {"imgcli": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | {"system": f"{platform.system()} {platform.machine()}"}
