"""Train a network on the train part of a dataset."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.commands.results import Result
from imgcli.commands.training_config import training_config
from imgcli.config import check_device, check_limits, option
from imgcli.errors import DataError, ModelError, WrongUsage
from imgcli.progress import note
from imgcli.text import count, percent

if TYPE_CHECKING:
    from imgcli.config import TrainConfig
    from imgcli.records import Rejected
    from imgcli.runs import Run
    from imgcli.training.pipeline import Trained


@dataclass(frozen=True, eq=False, repr=False)
class TrainResult(Result):
    """A finished training; of a bag, the last one, with all of them in `bag`.

    Figures are `{"n", "loss", "accuracy", "macro_precision", "macro_f1"}`.
    """

    _keys = (
        *("run", "arch", "params", "epochs", "kept_epoch", "input", "images_per_second", "seconds"),
        "engine",
        *("train", "val", "val_learnt_by", "test", "chosen"),
    )

    run: Path  # folder of the weights, the config, the history
    arch: str
    params: Mapping[str, int]  # trainable, non_trainable, total
    epochs: int
    kept_epoch: int | None  # whose weights were kept
    input: str  # the preprocessing, in words
    images_per_second: float
    seconds: float
    train: Mapping[str, Any]  # figures on the training photos
    val: Mapping[str, Any] | None  # on the validation photos
    val_learnt_by: str | None  # the run that trained on the validation photos
    test: Mapping[str, Any] | None  # on the test photos, with track_test only
    chosen: Mapping[str, Any]  # hyper-parameters chosen by validation
    unit: str  # of `epochs`: "epoch", or "iteration" of a linear probe
    history: Path | None  # the learning curves as a figure or, of one epoch, as a table
    rejected: "tuple[Rejected, ...]"  # photos that could not be used
    bag: "tuple[TrainResult, ...]" = ()
    folds: int = 10  # that an evaluation by folds may have; 0 where there can be none
    engine: str | None = None  # that extracted the features of a frozen backbone

    def to_json(self) -> dict[str, Any]:
        return {"bag": [one.to_json() for one in self.bag]} if self.bag else super().to_json()

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", ", ".join(str(one.run) for one in self.bag or (self,))
        yield "arch", self.arch
        yield "trained", f"{count(self.epochs, self.unit)}, {self.seconds:.0f} s"
        for part, measured in (("train", self.train), ("val", self.val), ("test", self.test)):
            if measured:
                yield part, f"accuracy {percent(measured['accuracy'])} (n = {measured['n']:,})"


def train(
    arch: str | None = None,
    *,
    freeze: bool = False,
    data: str | Path | None = None,
    out: str | Path = "runs",
    seed: int = 0,
    device: str = "auto",
    bag: int | None = None,
    resume: bool = False,
    run: str | Path | None = None,
    track: str | Sequence[str] | None = None,
    **choices: Any,
) -> TrainResult:
    """Train a network on the train part of a dataset, and store it in a folder of its own.

    Args:
        arch: a network of timm, torchvision or the zoo, or layer notation.
        freeze: freeze the pretrained backbone and train a new head.
        data: dataset folder with train/ and test/; by default dataset/. Of a run to resume, where
            its photos are now; by default where they were.
        out: folder that gets the run's folder.
        bag: train that many networks, each on a bootstrap sample of the photos.
        resume: continue the newest unfinished run with its own choices.
        run: the run to resume.
        track: "tensorboard", "mlflow", "wandb", "csv" or several of these, which are told of it
            while it lasts; those of a run that is resumed go on, unless this is "none".
        choices: any other choice of `imgcli train`, by its name in `imgcli.config`:
            `epochs=60, lr=0.01, optimizer="sgd"`.

    Raises:
        TypeError: an unknown choice; the message names the nearest one.
        ImgcliError: what the command line would say.
    """
    from imgcli.run_lookup import run_of_this_launch, unfinished_run
    from imgcli.tracking.session import chosen_trackers

    asked = chosen_trackers(track)
    unfinished, out = None, Path(out)
    if resume:
        _refuse_choices({"arch": arch, "freeze": freeze or None, "bag": bag, **choices})
        unfinished = unfinished_run(None if run is None else str(run), out)
        config = unfinished.config
        data = unfinished.data if data is None else data
    elif run is not None:
        raise WrongUsage(f"--run {run} goes with --resume; a new training gets its own folder.")
    else:
        config = training_config(arch=arch, freeze=freeze, **choices).with_(seed=seed, bag_of=bag)
        unfinished = run_of_this_launch(out)
        if unfinished is not None:
            note(f"Restarted by torchrun: the run '{unfinished.folder}' goes on.")
            config = unfinished.config
    if config.data.bag_of is not None and config.data.bag_of < 2:
        raise WrongUsage(f"--bag {config.data.bag_of} has nothing to average; use at least 2.")
    return _trained(config, Path(data or "dataset"), out, device, unfinished, asked)


def refuse_missing_files(config: "TrainConfig", data: Path) -> None:
    """Refuse a training whose photos or weights are not to be had, before torch is imported."""
    from imgcli.models.hub_repository import is_hub, weights_folder
    from imgcli.photos.dataset import refuse_missing
    from imgcli.photos.layout import photos_under

    refuse_missing(data)
    weights, pseudo_label = config.model.weights, config.data.pseudo_label
    if weights is not None and is_hub(weights):
        weights_folder(weights)
    elif weights is not None and not Path(weights).exists():
        raise ModelError(
            f"No weights '{weights}'. Give --weights a .safetensors or .pth file, or a run's "
            "folder."
        )
    if weights is None and config.model.pretrained and config.model.notation is None:
        for arch in config.model.archs:
            refuse_missing_weights(arch)
    if pseudo_label is not None and not photos_under(Path(pseudo_label))[0]:
        raise DataError(
            f"No photo in '{pseudo_label}'. Name a folder of photos with --pseudo-label."
        )


def refuse_missing_weights(arch: str) -> None:
    """Refuse an arch whose published weights are damaged, or neither at hand nor to be fetched.

    An arch that is in no list is refused, or not, by the library that it is of.
    """
    from imgcli.models.bundled import bundled_file
    from imgcli.models.catalogue import listed_source
    from imgcli.models.hub import refuse_unreachable

    if bundled_file(arch) is None and (source := listed_source(arch)):
        refuse_unreachable(arch, source)


def _trained(
    config: "TrainConfig",
    data: Path,
    out: Path,
    device: str,
    unfinished: "Run | None",
    track: Sequence[str] | None,
) -> TrainResult:
    from imgcli.files import need_writable

    check_limits(config)
    check_device(device)
    if unfinished is None:  # of one that is resumed, its run tells more
        refuse_missing_files(config, data)
        need_writable(out)

    from imgcli.tracking.session import trackers_of
    from imgcli.training.bagging import train_bag
    from imgcli.training.pipeline import train_run

    history = None
    with trackers_of(track, *([unfinished.folder] if unfinished else [])) as trackers:
        if config.data.bag_of is None:
            trained = train_run(config, data, out, device, unfinished, trackers=trackers)
            documents = [trained.document]
        else:
            documents, trained = train_bag(config, data, out, device, unfinished, trackers)
    if config.data.bag_of is None:
        history = _draw_history(trained)
    unit = "iteration" if trained.run.config.optim.is_probe else "epoch"
    of_all: dict[str, Any] = {"unit": unit, "history": history, "rejected": trained.rejected}
    of_all["folds"] = trained.folds
    *others, last = (
        TrainResult(**{**document, "run": Path(document["run"])}, **of_all)
        for document in documents
    )
    _note_photos(trained)
    return last if history else replace(last, bag=(*others, last))


def _refuse_choices(given: Mapping[str, Any]) -> None:
    """A resumed run keeps its choices; any other beside it is a mistake."""
    for name, value in given.items():
        if value is not None:
            raise WrongUsage(not_with_resume(option(name)))


def not_with_resume(typed: str) -> str:
    """The sentence for an option beside --resume."""
    return f"{typed} does not go with --resume, which keeps the run's choices."


def _draw_history(trained: "Trained") -> Path:
    """Draw the learning curves and store them with the run; without a curve, the table's path."""
    from imgcli.report.plots import style, training

    path = trained.run.folder / "history.csv"
    if sum(row["part"] == "train" for row in trained.history) > 1:
        path = trained.run.folder / "figures" / "history.png"
        style.save(training.history(trained.history, kept=trained.document["kept_epoch"]), path)
    return path


def _note_photos(trained: "Trained") -> None:
    from imgcli.report.terminal.runs import leaking, unreadable

    grouped = bool(trained.grouped_by)
    for line in (*unreadable(trained.rejected), *leaking(trained.leaks, grouped=grouped)):
        note(line)
    for line in trained.rare:
        note(line)
