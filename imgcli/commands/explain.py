"""`imgcli.explain`: why photos are predicted as they are."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from imgcli.commands.folders import names, optional_path
from imgcli.commands.results import Result
from imgcli.config import check_device
from imgcli.errors import StorageError, WrongUsage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imgcli.records import Rejected
    from imgcli.runs import Run
    from imgcli.training.explain import Explained

BORDER = 1 / 8  # of the view's side, on each side: 44 % of its area
CORNER = 1 / 4  # of the view's side, in each corner: 25 % of its area together
MARK = b"imgcli explain"  # in the figures, which may be replaced
_FOLDER = "explained"  # in a run
MOST_SHOWN = 20  # photos in a notebook


@dataclass(frozen=True, eq=False, repr=False)
class ExplainResult(Result):
    """The explanations of photos, and their figures."""

    run: Path
    photos: "tuple[Explained, ...]"
    classes: tuple[str, ...]
    figures: tuple[Path, ...]  # one per photo; none of mistakes without `out`
    stored: Path | None  # the mistakes' maps, for the report; None for photos that were named
    held_out: bool  # by networks of the folds that had not seen the photo; else the final one
    rejected: "tuple[Rejected, ...]"  # photos that cannot be read

    def to_json(self) -> dict[str, Any]:
        from imgcli.files import as_json

        rows = zip_longest(self.photos, self.figures)
        return {
            "run": str(self.run),
            "photos": [_photo_json(one, self.classes, figure) for one, figure in rows],
            "rejected": [as_json(one) for one in self.rejected],
            "held_out": self.held_out,
            "stored": None if self.stored is None else str(self.stored),
        }

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", str(self.run)
        for one in self.photos[:MOST_SHOWN]:
            names = self.classes[one.explained], self.classes[one.against]
            yield one.path, " rather than ".join(names)
        if self.figures:
            yield "figures", str(self.figures[0].parent)
        if self.stored:
            yield "maps for the report", str(self.stored)


def explain(
    paths: str | Path | Sequence[str | Path] = (),
    *,
    run: str | Path = "latest",
    class_name: str | None = None,
    against: str | None = None,
    nearest: int = 5,
    out: str | Path | None = None,
    root: str | Path | None = None,
    path_column: str | None = None,
    device: str = "auto",
) -> ExplainResult:
    """Show where in photos the evidence for a class is, and the training photos most like them.

    Args:
        paths: photos, as `imgcli.predict` takes them. Without any, the run's most confident
            out-of-fold mistakes and the examples of its suggested merges: their maps are kept in
            the run for the report, and figures are drawn with `out` alone.
        run: "latest", a folder's name under runs/, or a path.
        class_name: the class to look for; by default the one predicted.
        against: the class to compare it with; by default the label of a training photo that is
            predicted as another class, else the runner-up.
        nearest: training photos to show; 0 for none.
        out: folder for the figures; explained/ in the run's folder by default.
        root: the folder that the paths in tables and lists are below; by default each one's own.
        path_column: the column of a table with the photos' paths.

    Raises:
        ImgcliError: what the command line would say.
    """
    if not 0 <= nearest <= 50:
        raise WrongUsage(f"--nearest {nearest} must be from 0 to 50.")
    check_device(device)
    from imgcli.run_lookup import find_run

    found = find_run(str(run))
    target = optional_path(out)
    if not names(paths):
        return _explain_mistakes(found, class_name, against, nearest, target, device)
    folder = found.folder / _FOLDER if target is None else target
    if folder.exists() and not folder.is_dir():
        raise StorageError(f"--out {folder} is a file. Name a folder for the figures.")

    from imgcli.commands.new_photos import find_new_photos
    from imgcli.evaluation.calibration import temperature_of
    from imgcli.files import need_writable

    photos = find_new_photos(names(paths), optional_path(root), path_column)
    temperature = temperature_of(found)
    folder.mkdir(parents=True, exist_ok=True)
    need_writable(folder)

    from imgcli.training.explain import explain_photos

    classes, explained, rejected = explain_photos(
        found,
        photos,
        temperature=temperature,
        explained=class_name,
        against=against,
        neighbours=nearest,
        device_name=device,
    )
    return ExplainResult(
        run=found.folder,
        photos=tuple(explained),
        classes=classes,
        figures=tuple(_draw(found, explained, classes, folder)),
        rejected=tuple(rejected),
        stored=None,
        held_out=False,
    )


def _explain_mistakes(
    run: "Run",
    class_name: str | None,
    against: str | None,
    nearest: int,
    out: Path | None,
    device: str,
) -> ExplainResult:
    """Explain the mistakes of the run's folds, each its predicted class rather than its label.

    Raises:
        WrongUsage: classes are named, and each mistake has its own.
        RunError: the run was not evaluated by folds.
    """
    import numpy as np

    from imgcli.evaluation import explanations_io
    from imgcli.evaluation.calibration import temperature_of
    from imgcli.evaluation.predictions_io import out_of_fold
    from imgcli.files import need_writable
    from imgcli.photos.dataset import refuse_missing
    from imgcli.progress import note
    from imgcli.records import NewPhotos

    if class_name is not None or against is not None:
        raise WrongUsage("--class and --against go with photos: name some, such as odd.jpg.")
    if out is not None and out.exists() and not out.is_dir():
        raise StorageError(f"--out {out} is a file. Name a folder for the figures.")
    refuse_missing(run.data)
    predictions = out_of_fold(run, run.data)
    rows = explanations_io.mistakes_to_explain(predictions)
    names_, preds = predictions.classes, predictions.preds
    if not len(rows):
        note("The out-of-fold predictions have no mistakes: there is nothing to explain.")
    need_writable(run.folder)
    relative = {str(run.data / predictions.paths[row]): row for row in rows.tolist()}
    photos = NewPhotos(tuple(relative), tuple(relative), lambda: tuple(relative))

    from imgcli.training.explain import explain_photos, fold_heads

    heads = fold_heads(run, predictions, device) if len(rows) else None
    classes, explained, rejected = explain_photos(
        run,
        photos,
        temperature=temperature_of(run),
        heads=None if heads is None else [heads[row] for row in rows.tolist()],
        pairs=[(names_[preds[row]], names_[predictions.targets[row]]) for row in rows.tolist()],
        neighbours=nearest,
        device_name=device,
    )
    side = explanations_io.SIDE
    stored = explanations_io.save(
        run,
        explanations_io.Explanations(
            paths=tuple(predictions.paths[relative[one.path]] for one in explained),
            predicted=np.array([one.explained for one in explained], np.int64),
            labels=np.array([one.against for one in explained], np.int64),
            maps=np.array(
                [explanations_io.reduced(one.contrast) for one in explained], np.float16
            ).reshape(-1, side, side),
            boxes=np.array([one.box for one in explained], np.float64).reshape(-1, 4),
            held_out=heads is not None,
            exact=all(one.exact for one in explained),
        ),
    )
    figures = () if out is None else tuple(_draw(run, explained, classes, out))
    return ExplainResult(
        run=run.folder,
        photos=tuple(explained),
        classes=classes,
        figures=figures,
        stored=stored,
        held_out=heads is not None,
        rejected=tuple(rejected),
    )


# --- the document --------------------------------------------------------------------------------


def _photo_json(one: "Explained", classes: Sequence[str], figure: Path | None) -> dict[str, Any]:
    return {
        "path": one.path,
        "class": classes[one.explained],
        "confidence": float(one.probs[one.explained]),
        "predicted": classes[int(one.probs.argmax())],
        "label": one.label,
        "against": classes[one.against],
        "confidence_against": float(one.probs[one.against]),
        "method": one.method,
        "map": {
            **position(one.evidence, one.box),
            "logit": one.logit,
            "bias": one.bias,
            "exact": one.exact,
            "networks": [of._asdict() for of in one.contributions],
        },
        "contrast": {**position(one.contrast, one.box), "logit": one.logit - one.logit_against},
        "nearest": [
            {
                "path": near.path,
                "class": near.label,
                "similarity": near.similarity,
                "duplicate": near.duplicate,
            }
            for near in one.nearest
        ],
        "figure": None if figure is None else str(figure),
    }


def position(
    evidence: "NDArray[np.float32]", box: tuple[float, float, float, float]
) -> dict[str, Any]:
    """Where the evidence for a class is: all that is above 0, by its weight.

    Args:
        evidence: (S, S) over the network's view.
        box: where the view is in the photo: left, top, right, bottom, in shares of it.

    Returns:
        `centre`, in shares of the photo's width and height; `border` and `corners`, shares of the
        evidence in the outer eighth on each side of the view, and in its corners of a quarter each
        way. All None where there is no evidence for it.
    """
    import numpy as np

    weight = np.clip(evidence.astype(np.float64), 0, None)
    total = weight.sum()
    if not total > 0:
        return {"centre": None, "border": None, "corners": None}
    middles = (np.arange(len(weight)) + 0.5) / len(weight)
    left, top, right, bottom = box
    x = float(weight.sum(axis=0) @ middles / total)
    y = float(weight.sum(axis=1) @ middles / total)
    outer = (middles < BORDER) | (middles > 1 - BORDER)
    ends = (middles < CORNER) | (middles > 1 - CORNER)
    return {
        "centre": [left + x * (right - left), top + y * (bottom - top)],
        "border": float(weight[outer[:, None] | outer].sum() / total),
        "corners": float(weight[ends[:, None] & ends].sum() / total),
    }


# --- the figures --------------------------------------------------------------------------------


def _draw(
    run: "Run", explained: "Sequence[Explained]", classes: Sequence[str], folder: Path
) -> Iterator[Path]:
    """Draw and store the figure of each photo; other files of that name stay as they are."""
    from imgcli.photos.dataset import listed_photos, where_of
    from imgcli.photos.views import thumbnails
    from imgcli.progress import track
    from imgcli.report.plots.explanation import EvidencePicture, NearPhoto, explanation
    from imgcli.report.plots.style import save_png

    wanted = [near.path for one in explained for near in one.nearest]
    among = listed_photos(run.data, run.config.data) if wanted else frozenset()
    pictures = thumbnails(where_of(run.data), wanted, _NEAR_SIDE, {}, among)
    taken: set[Path] = set()
    for one in track(explained, "Drawing", len(explained), "photos"):
        nearest = [
            NearPhoto(next(pictures), near.label, near.similarity, near.duplicate)
            for near in one.nearest
        ]
        figure = explanation(
            EvidencePicture(
                name=one.path,
                picture=one.picture,
                box=one.box,
                explained=classes[one.explained],
                against=classes[one.against],
                probability=float(one.probs[one.explained]),
                label=one.label,
                evidence=one.evidence,
                contrast=one.contrast,
                nearest=nearest,
            )
        )
        path = _free_place(folder, one.path, taken)
        taken.add(path)
        save_png(figure, path, MARK.decode())
        yield path


_NEAR_SIDE = 320  # pixels of a training photo in a figure


def _free_place(folder: Path, photo: str, taken: set[Path]) -> Path:
    """A file for the figure of a photo: a new one, or an earlier figure of this command."""
    from imgcli.text import free_suffixes

    stem = re.sub(r"[^\w.-]+", "_", PurePosixPath(photo.replace("\\", "/")).stem)[:80] or "photo"
    for suffix in free_suffixes():
        path = folder / f"{stem}{suffix}.png"
        if path not in taken and (not path.exists() or _is_ours(path)):
            return path
    raise AssertionError("there is always a further suffix")


def _is_ours(path: Path) -> bool:
    from imgcli.reading import open_regular

    if not path.is_file():
        return False
    with open_regular(path) as file:
        return MARK in file.read(2000)
