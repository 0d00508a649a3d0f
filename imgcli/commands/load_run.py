"""`imgcli.load_run`: a trained run as an object to work with in Python."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.commands.evaluate import Drawing, drawings_of
from imgcli.commands.folders import names
from imgcli.commands.predict import FALSE_ALARMS, predict
from imgcli.commands.results import Tabular, image_html
from imgcli.config import TrainConfig, check_device
from imgcli.errors import Refused, RunError, WrongUsage
from imgcli.text import interval, listed, percent

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure
    from torch import nn

    from imgcli.commands.predict import Photos, PredictResult
    from imgcli.commands.run_classifier import RunClassifier
    from imgcli.records import Evaluation, Predictions
    from imgcli.report.table_formats import TableRecord
    from imgcli.runs import Run
    from imgcli.training.predict import LoadedNetwork
    from imgcli.training.run_model import PhotoTransform


@dataclass(frozen=True, eq=False, repr=False)
class LoadedRun(Tabular):
    """A trained run, or several whose probabilities are averaged; its weights are read when used.

    Classes, config and calibration are those at the time of the call.
    """

    folders: tuple[Path, ...]  # absolute
    classes: tuple[str, ...]  # (K,) sorted names
    config: TrainConfig  # of several runs, that of the first
    data: Path  # the dataset it was trained on, absolute
    temperatures: tuple[float, ...]  # that each run's logits are divided by; 1: not calibrated
    device: str

    @property
    def folder(self) -> Path:
        """The run's folder; of several, the first."""
        return self.folders[0]

    @cached_property
    def model(self) -> "nn.Module":
        """The network in eval mode: normalised images (N, C, S, S) → calibrated logits (N, K).

        The softmax of the logits are the probabilities of `predict`.

        Raises:
            Refused: several runs that prepare photos differently.
        """
        from imgcli.training.run_model import RunModel

        self._need_one_view("model")
        return RunModel(self.networks)

    @cached_property
    def preprocess(self) -> "PhotoTransform":
        """The transform of a photo (a path, PIL image or array) to a tensor (C, S, S).

        It decodes, resizes and normalises as `imgcli predict` does.

        Raises:
            Refused: several runs that prepare photos differently.
        """
        from imgcli.training.run_model import PhotoTransform

        self._need_one_view("preprocess")
        return PhotoTransform(self.networks[0].preprocess)

    def predict(
        self,
        photos: "Photos",
        *,
        top: int = 5,
        min_precision: float | None = None,
        unsure: float | None = None,
        false_alarms: float = FALSE_ALARMS,
    ) -> "PredictResult":
        """Predict photos, as `imgcli.predict` does; the network stays loaded.

        Args:
            photos: paths, folders, archives, tables and patterns; or PIL images and arrays.
            top: classes per photo in the document.
            min_precision: answer only with enough confidence for this precision.
            unsure: answer only with at least this confidence.
            false_alarms: share of photos of the classes that may be taken for none of them.
        """
        return predict(
            photos,
            run=self,
            top=top,
            min_precision=min_precision,
            unsure=unsure,
            false_alarms=false_alarms,
        )

    def as_sklearn(self) -> "RunClassifier":
        """A fitted estimator of scikit-learn: classes_, predict, predict_proba, score.

        X is a list of photos (paths, PIL images, uint8 arrays), y are names of classes. `fit` and
        cloning leave the network as it is trained; a pickle holds the path of the run.
        """
        from imgcli.commands.run_classifier import RunClassifier

        paths = tuple(str(folder) for folder in self.folders)
        run = paths[0] if len(paths) == 1 else paths
        return RunClassifier(run=run, device=self.device).use(self)

    @property
    def history(self) -> "pandas.DataFrame":
        """history.csv as a frame: a row per batch and, after each epoch, a row per part.

        Raises:
            Refused: pandas is not installed.
            RunError: the run has no history, or it is damaged.
        """
        from imgcli.report.table_formats import need_pandas

        pandas = need_pandas()
        run, path = self._run(), self.folder / "history.csv"
        if not path.is_file():
            raise RunError(f"'{path}' is missing: the run has no history.")
        run.check_file(path.name)
        return pandas.read_csv(path)

    @property
    def figures(self) -> tuple[Path, ...]:
        """The figures that are stored with the run, PNG files, sorted by name."""
        return tuple(sorted(self.folder.glob("figures/*.png")))

    @cached_property
    def predictions(self) -> "Predictions | None":
        """The stored predictions of held-out photos: out-of-fold, or of the test part.

        `probs` (M, K), `targets` (M,), `preds` (M,), `fold` (M,), `paths`; None if the run has not
        been evaluated. Of several runs those of the first.
        """
        return None if self._stored is None else self._stored[0]

    @cached_property
    def evaluation(self) -> "Evaluation | None":
        """The figures of these predictions: `confusion` (K, K), `accuracy`, `per_class`, …"""
        return None if self._stored is None else self._stored[1]

    def tables(self) -> "Mapping[str, TableRecord]":
        """The tables of the stored evaluation, as `imgcli.evaluate` gives them.

        Raises:
            RunError: the run has not been evaluated.
        """
        from imgcli.evaluation.evaluate import evaluation_json, scores, scores_json
        from imgcli.report.table_records import evaluation_tables
        from imgcli.report.terminal.evaluation import measured_on

        predictions, evaluation = self._evaluated()
        document = {**evaluation_json(evaluation), **scores_json(scores(predictions))}
        return evaluation_tables(evaluation, predictions, document, measured_on(evaluation))

    def figure(self, name: Drawing = "confusion") -> "Figure":
        """A figure of the stored evaluation: "confusion", "precision", "reliability", "folds".

        Raises:
            WrongUsage: there is no such figure.
            RunError: the run has not been evaluated.
        """
        predictions, evaluation = self._evaluated()
        drawings: dict[str, Callable[[], Figure]] = drawings_of(evaluation, predictions)
        if name not in drawings:
            raise WrongUsage(f"No figure '{name}'; there are {listed(list(drawings))}.")
        return drawings[name]()

    def to_json(self) -> dict[str, Any]:
        """What the command `show` prints with --json; of several runs, {"bag": [...]}."""
        from imgcli.commands.show import show

        documents = [show(folder).to_json() for folder in self.folders]
        return documents[0] if len(documents) == 1 else {"bag": documents}

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", " + ".join(map(str, self.folders))
        yield "arch", self.config.model.arch
        yield "classes", f"{len(self.classes):,}: {listed(self.classes)}"
        yield "data", str(self.data)
        yield "temperature", ", ".join(f"{one:.3g}" for one in self.temperatures)
        if self.evaluation is not None:
            found = self.evaluation
            value = f"{percent(found.accuracy.value)} ({interval(found.accuracy.ci95)})"
            part = f"{found.folds} folds" if found.folds else f"the {found.on} part"
            yield "accuracy", f"{value}, n = {found.n:,}, {part}"

    def _repr_html_(self) -> str:
        table = super()._repr_html_()
        return table if self._stored is None else f"{table}{image_html(self.figure())}"

    def _run(self) -> "Run":
        from imgcli.runs import Run

        return Run(self.folder)

    @cached_property
    def networks(self) -> "list[LoadedNetwork]":
        """The network of each run, on the device."""
        from imgcli.runs import Run
        from imgcli.training.predict import load_network, refuse_other_classes

        runs = [Run(folder) for folder in self.folders]
        loaded = [
            load_network(run, self.device, temperature)
            for run, temperature in zip(runs, self.temperatures, strict=True)
        ]
        refuse_other_classes(runs, [one.classes for one in loaded])
        return loaded

    @cached_property
    def _stored(self) -> "tuple[Predictions, Evaluation] | None":
        from imgcli.evaluation import predictions_io

        run = self._run()
        if not any((run.folder / name).is_file() for name in predictions_io.NAMES.values()):
            return None
        (stored,) = predictions_io.load([run], None)[1].values()
        return stored.predictions, predictions_io.pooled(stored)

    def _evaluated(self) -> "tuple[Predictions, Evaluation]":
        if self._stored is None:
            raise RunError(
                f"The run '{self.folder}' has not been evaluated. Do it first: "
                f"imgcli.evaluate(folds=10, run={str(self.folder)!r})"
            )
        return self._stored

    def _need_one_view(self, what: str) -> None:
        views = {one.preprocess for one in self.networks}
        if len(views) > 1:
            how = "; ".join(sorted(view.describe() for view in views))
            raise Refused(
                f"These runs prepare photos differently ({how}), so they have no {what} in common. "
                "Use predict or as_sklearn, which prepare a photo for each of them, or load one "
                "run at a time."
            )


def load_run(
    run: str | Path | Sequence[str | Path] = "latest", *, device: str = "auto"
) -> LoadedRun:
    """A trained run; of several, the mean of their probabilities is predicted.

    Args:
        run: "latest", a folder's name under runs/, a path, or several of these.
        device: "auto", "cpu", "cuda" or "mps": where the network computes.

    Raises:
        RunError: there is no such run, it is unfinished or damaged, or the runs know different
            classes.
    """
    check_device(device)
    from imgcli.evaluation.calibration import temperature_of
    from imgcli.run_lookup import find_runs

    runs = find_runs(names(run))
    known = [_classes(one) for one in runs]
    if other := next((i for i, classes in enumerate(known) if classes != known[0]), None):
        raise RunError(
            f"The runs '{runs[0].folder}' and '{runs[other].folder}' know different classes; their "
            "probabilities have no mean."
        )
    return LoadedRun(
        folders=tuple(one.folder.absolute() for one in runs),  # wherever a notebook goes
        classes=known[0],
        config=runs[0].config,
        data=runs[0].data.absolute(),
        temperatures=tuple(temperature_of(one) for one in runs),
        device=device,
    )


def _classes(run: "Run") -> tuple[str, ...]:
    found = run.read_json("model.json").get("classes")
    if not found:
        raise run.damaged("model.json", ValueError("it lacks classes"))
    return tuple(found)
