"""`imgcli.review_photos`: decide about labels, duplicates and merges in the browser."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal, get_args

from imgcli.commands.check_fix import after_relabelling
from imgcli.commands.folders import default_folder, optional_path
from imgcli.commands.local_page import page_server, show_page
from imgcli.commands.results import Result
from imgcli.errors import DataError, ImgcliError, Refused, RunError
from imgcli.progress import note

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from imgcli.commands.check_labels import KnownIssues
    from imgcli.photos.open_batch import OpenBatch
    from imgcli.records import FloatArray, Predictions
    from imgcli.review.labels import Doubt
    from imgcli.review.merges import Accepted
    from imgcli.review.pictures import Pictures
    from imgcli.review.queue import Item, Queue, Strip
    from imgcli.review.server import Further
    from imgcli.runs import Run

Kind = Literal["labels", "duplicates", "merges", "predictions"]
KINDS: tuple[Kind, ...] = get_args(Kind)
What = Literal["labels", "duplicates", "merges", "predictions", "map", "all"]
TOP = 4  # classes that are shown with their probabilities
WEAK = 0.5  # a label whose out-of-fold probability is lower is shown among the predictions


@dataclass(frozen=True, repr=False)
class ReviewResult(Result):
    """What was decided until the page was closed."""

    address: str
    decided: Mapping[str, int]  # decisions, by what was reviewed
    left: Mapping[str, int]  # that nobody has decided
    moved: int  # photos that got another class, or were taken out
    folder: Path | None  # that they were moved in, for `imgcli restore`
    plan: Path | None  # the merges that were accepted, for `imgcli merge --plan`
    next: tuple[str, ...]  # commands


def review_photos(
    what: What = "all",
    *,
    run: str = "latest",
    data: str | Path | None = None,
    folder: str | Path | None = None,
    port: int = 0,
    browser: bool = True,
) -> ReviewResult:
    """Show decisions to take in the browser, and carry each out at once; ends with Ctrl-C.

    Beside them, a map of all photos that the run has out-of-fold predictions of.

    Args:
        what: labels to review, duplicates, merges, weak predictions, the map, or all that there is.
        data: the run's dataset; by default the one it was trained on.
        folder: where duplicates are looked for; by default what the dataset was split from, or
            raw/ or dataset/.
        port: of this machine; 0 takes any free one.
        browser: open the page in the browser, beside printing its address.

    Raises:
        Refused: the page's server is not installed.
        RunError: no such run, or it was not evaluated with folds.
        DataError: the photos are gone, or cannot be moved where they are.
        StorageError: the port is taken.
    """
    page_server()
    desk = _Desk(run, optional_path(data), optional_path(folder))
    kinds = KINDS if what == "all" else () if what == "map" else (what,)
    queues = desk.queues(kinds)
    further = desk.map(needed=what == "map") if what in ("map", "all") else []
    address = show_page(
        f"imgcli review · {desk.title}", queues, desk.batches.values(), port, browser, further
    )
    return desk.result(address, queues)


class _Desk:
    """What is reviewed, read once for all queues; and what came of it."""

    def __init__(self, run: str, data: Path | None, folder: Path | None) -> None:
        self._run_name, self._data, self._folder = run, data, folder
        self.batches: dict[Path, OpenBatch] = {}  # by folder
        self._accepted: Accepted | None = None
        self._known: _Known | None = None
        self.title = str(folder or data or "")

    def queues(self, kinds: Sequence[Kind]) -> dict[str, "Queue"]:
        """The queues of these kinds.

        Of several kinds, those that there is nothing for yet are left out, which is noted.

        Raises:
            RunError, DataError: there is nothing for any of them.
        """
        makers: dict[Kind, Callable[[], Queue]] = {
            "labels": self._labels,
            "duplicates": self._duplicates,
            "merges": self._merges,
            "predictions": self._predictions,
        }
        found: dict[str, Queue] = {}
        missing: list[ImgcliError] = []
        for kind in kinds:
            try:
                found[kind] = makers[kind]()
            except (RunError, DataError) as error:
                missing.append(error)
        if missing and not found:
            raise missing[0]
        for sentence in dict.fromkeys(map(str, missing)):
            note(f"Left out: {sentence}")
        return found

    def map(self, needed: bool) -> "list[Further]":
        """The map of the run's photos; none where there is nothing for it yet.

        Raises:
            RunError, DataError, Refused: where it is `needed`.
        """
        from imgcli.report.projection import need_projection
        from imgcli.review.server import Further

        try:
            need_projection()
            known = self._of_run
        except (RunError, DataError, Refused):
            if needed:
                raise
            return []

        def routes() -> "Sequence[BaseRoute]":
            from imgcli.commands.photo_map import photo_map
            from imgcli.review.map import routes as routes_of

            return routes_of(*photo_map(known.run, known.data))

        return [Further("map", "Map", routes)]

    def result(self, address: str, queues: Mapping[str, "Queue"]) -> ReviewResult:
        """What was decided."""
        progress = {name: queue.progress() for name, queue in queues.items()}
        moved = {folder: len(batch.moves) for folder, batch in self.batches.items()}
        folder = next((folder for folder, n in moved.items() if n), None)
        plan = self._accepted.file if self._accepted and self._accepted.merges() else None
        following = []
        if folder is not None:
            following.append(after_relabelling(folder))
        if plan is not None:
            following.append(f"imgcli merge --plan {quote(str(plan))}")
        return ReviewResult(
            address=address,
            decided={name: one.decided for name, one in progress.items()},
            left={name: one.left for name, one in progress.items()},
            moved=sum(moved.values()),
            folder=folder,
            plan=plan,
            next=tuple(following),
        )

    # --- what the queues are made of ------------------------------------------------------------

    @property
    def _of_run(self) -> "_Known":
        """The run's predictions, read once."""
        if self._known is None:
            from imgcli.run_lookup import find_run

            self._known = _Known.of(find_run(self._run_name), self._data)
            self.title = self.title or str(self._known.data)
        return self._known

    def _batch(self, folder: Path) -> "OpenBatch":
        """Where photos of a folder are moved; one for all queues."""
        from imgcli.photos.open_batch import OpenBatch

        if folder not in self.batches:
            if not folder.is_dir():
                raise DataError(
                    f"The photos are read in place, from '{folder}', and nothing is moved there. "
                    "Make files of them first: imgcli import"
                )
            self.batches[folder] = OpenBatch(folder)
        return self.batches[folder]

    def _labels(self) -> "Queue":
        known = self._of_run
        issues, summary = known.issues()
        doubts = known.doubts(
            [known.row[one["path"]] for one in issues],
            [(one["suggestion"], one["score"], one["reason"]) for one in issues],
        )
        return self._label_queue(
            "labels",
            "Labels to review",
            "Predictions made without the photo's own label contradict it.",
            doubts,
            summary,
            "No label is in doubt.",
        )

    def _predictions(self) -> "Queue":
        from imgcli.review.labels import weak_reason

        known = self._of_run
        said = known.predictions
        in_doubt = {one["path"] for one in known.issues()[0]}
        own = said.probs[range(len(said)), said.targets]
        rows = [i for i in own.argsort(kind="stable").tolist() if own[i] < WEAK]
        rows = [i for i in rows if said.paths[i] not in in_doubt]
        found = []
        for i in rows:
            label, predicted = said.classes[said.targets[i]], said.classes[said.preds[i]]
            confidence = float(said.probs[i].max())
            reason = weak_reason(label, float(own[i]), predicted, confidence)
            found.append((predicted, 1 - float(own[i]), reason))
        return self._label_queue(
            "predictions",
            "Weak predictions",
            "Photos whose own class is predicted with less than 50 %, by networks that did not "
            "see them: mistakes first. Most are hard photos with the right label.",
            known.doubts(rows, found),
            "",
            "Every photo's own class is predicted with 50 % or more.",
        )

    def _label_queue(
        self, name: str, title: str, about: str, doubts: "list[Doubt]", estimate: str, empty: str
    ) -> "Queue":
        from imgcli.photos.dataset import levels_of
        from imgcli.photos.layout import find_photos
        from imgcli.photos.relabel import Destinations
        from imgcli.review.kept import Kept
        from imgcli.review.labels import label_queue

        known = self._of_run
        folder = known.folder
        batch = self._batch(folder)
        levels = levels_of(known.run.config.data)
        return label_queue(
            name,
            title,
            about,
            doubts,
            known.predictions.classes,
            batch,
            Destinations.of(find_photos(folder, levels), folder),
            known.pictures,
            kept=Kept("labels"),
            beside=known.beside,
            estimate=estimate,
            empty=empty,
        )

    def _merges(self) -> "Queue":
        from imgcli.evaluation.merges.suggest import confused_classes
        from imgcli.review.kept import Kept
        from imgcli.review.merges import PLAN, Accepted, merge_queue

        known = self._of_run
        self._accepted = Accepted(known.run.folder / PLAN, known.data)
        return merge_queue(
            confused_classes(known.predictions).merges,
            self._accepted,
            Kept("merges"),
            {path: known.ids[row] for path, row in known.row.items()},
            known.pictures,
        )

    def _duplicates(self) -> "Queue":
        from imgcli.photos.check import check_folder
        from imgcli.photos.hashing import digests_by_path
        from imgcli.review.duplicates import duplicate_queue
        from imgcli.review.kept import Kept

        folder = self._folder or self._split_from() or default_folder("imgcli review --dir DIR")
        self.title = self.title or str(folder)
        batch = self._batch(folder)
        checked = check_folder(folder)
        groups = (*checked.duplicates, *checked.near_duplicates)
        digests, _ = digests_by_path(folder, sorted({p for g in groups for p in g.paths}))
        return duplicate_queue(checked, digests, batch, Kept("duplicates"))

    def _split_from(self) -> Path | None:
        """What the run's dataset was split from, if both are there."""
        try:
            folder = self._of_run.folder
        except (RunError, DataError):
            return None
        return folder if folder.is_dir() else None


@dataclass(frozen=True, eq=False)
class _Known:
    """A run's out-of-fold predictions, and the photos that they are of."""

    run: "Run"
    data: Path
    predictions: "Predictions"
    features: "FloatArray | None"
    folder: Path  # where the photos were collected
    row: Mapping[str, int]  # of the predictions, by path
    ids: tuple[str, ...]  # (M,) of the pictures
    pictures: "Pictures"
    sources: Mapping[str, str]  # where a photo comes from, by its SHA-256
    _nearest: "Callable[[int, Sequence[str]], tuple[Strip, ...]]"

    @classmethod
    def of(cls, run: "Run", data: Path | None) -> "_Known":
        from imgcli.commands.check_labels import run_features
        from imgcli.commands.report_data import evidence_of
        from imgcli.evaluation import explanations_io
        from imgcli.evaluation.predictions_io import out_of_fold
        from imgcli.photos.attributes import makers
        from imgcli.photos.dataset import where_of
        from imgcli.photos.relabel import origins
        from imgcli.review.nearest import NearestPhotos
        from imgcli.review.pictures import Pictures, Source

        data = data or run.data
        predictions = out_of_fold(run, data)
        features = run_features(run, predictions, data)
        folder, _ = origins(data, [])
        ids = tuple(f"p{i}" for i in range(len(predictions)))
        root = where_of(data)
        sources = {}
        if isinstance(root, Path):
            digests = predictions.digests or ("",) * len(predictions)
            photos = zip(ids, predictions.paths, digests, strict=True)
            sources = {one: Source(root / path, sha or None) for one, path, sha in photos}
        row = {path: i for i, path in enumerate(predictions.paths)}
        evidence = evidence_of(run, explanations_io.load(run))
        nearest = (
            (lambda row, classes: ())
            if features is None
            else NearestPhotos(features, predictions, ids).strips
        )
        return cls(
            run,
            data,
            predictions,
            features,
            folder,
            row,
            ids,
            Pictures(sources, {ids[row[p]]: one for p, one in evidence.items() if p in row}),
            {sha: source for sha, (source, _) in makers(folder).items() if source},
            nearest,
        )

    def issues(self) -> "KnownIssues":
        """The labels to review, as JSON, and how many are expected to be wrong."""
        from imgcli.commands.check_labels import NAME, find_issues, known_issues

        if not (self.run.folder / NAME).is_file():
            find_issues(self.run, self.data, self.predictions, self.features)
        return known_issues(self.run, self.predictions)

    def doubts(self, rows: Sequence[int], said: Sequence[tuple[str, float, str]]) -> "list[Doubt]":
        """The photos of some rows, each with a suggested class, a confidence and a reason."""
        from imgcli.photos.relabel import origins
        from imgcli.review.labels import Doubt

        known = self.predictions
        _, places = origins(self.data, [known.paths[row] for row in rows])
        found = []
        for row, origin, (suggestion, confidence, reason) in zip(rows, places, said, strict=True):
            likely = (-known.probs[row]).argsort(kind="stable")[:TOP].tolist()
            found.append(
                Doubt(
                    id=self.ids[row],
                    path=known.paths[row],
                    origin=origin,
                    label=known.classes[known.targets[row]],
                    suggestion=suggestion,
                    top=tuple((known.classes[k], float(known.probs[row, k])) for k in likely),
                    confidence=float(confidence),
                    reason=reason,
                    source=self.sources.get(origin.sha256, ""),
                )
            )
        return found

    def beside(self, item: "Item") -> "tuple[Strip, ...]":
        """The nearest photos of the class that an item has, and of the likeliest ones."""
        likely = [name for name, _ in item.top[:2]]
        return self._nearest(self.ids.index(item.id), [item.label, *likely])
