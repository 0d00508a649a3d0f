"""A trained network in its run folder: weights as safetensors, everything else as JSON."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from imgcli.config import ModelConfig, TrainConfig
from imgcli.errors import ModelError
from imgcli.files import write_atomic
from imgcli.models.create import create_network
from imgcli.models.memory import is_out_of_memory, within_memory
from imgcli.models.network import Network
from imgcli.models.weights import read_tensors, write_state
from imgcli.reading import digest_of
from imgcli.records import Preprocess
from imgcli.runs import Run, finish_run

WEIGHTS = "model.safetensors"
HISTORY = "history.csv"
_COLUMNS = ("epoch", "step", "part", "n", "loss", "accuracy", "macro_precision", "macro_f1", "lr")


def save_model(
    run: Run,
    network: Network,
    config: TrainConfig,
    classes: tuple[str, ...],
    facts: Mapping[str, Any],
) -> None:
    """Write the weights, then `model.json` with all that is needed to use them.

    `model.json` vouches for the weights, and for the history, which is written before.

    Args:
        facts: what else is kept of the run: parameters, metrics, seconds.
    """
    write_state(run.folder / WEIGHTS, network.classifier.state_dict())
    finish_run(
        run,
        {
            "arch": network.arch,
            "notation": network.notation,
            "model_args": dict(config.model.model_args),
            "classes": list(classes),
            "preprocess": asdict(network.preprocess),
            "precision": config.optim.precision,
            **facts,
            "files": {
                name: digest_of(run.folder / name)
                for name in (WEIGHTS, HISTORY)
                if (run.folder / name).is_file()
            },
        },
    )


def chosen_in(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What validation chose, from a run's `model.json`.

    Logits are divided by `temperature`. Older runs kept the factor on the logits under that name,
    and had no `factor` beside it.
    """
    chosen = dict(facts.get("chosen") or {})
    if "temperature" in chosen and "factor" not in chosen:
        factor = chosen["temperature"]
        chosen |= {"temperature": 1 / factor, "factor": factor}
    return chosen


@within_memory()
def load_model(run: Run) -> tuple[Network, tuple[str, ...], str]:
    """A run's network with its weights, its classes, and the precision it was trained in.

    Raises:
        RunError: something is missing, damaged or does not fit together.
    """
    facts = run.read_json("model.json")
    run.check_file(WEIGHTS)
    try:
        classes = tuple(facts["classes"])
        preprocess = Preprocess.from_json(facts["preprocess"])
        model = ModelConfig(
            facts["arch"],
            facts["notation"],
            facts["model_args"],
            image_size=preprocess.size,
            channels=preprocess.channels,
            pretrained=False,
        )
        network = create_network(model, len(classes))
        network.classifier.load_state_dict(read_tensors(run.folder / WEIGHTS)[0])
        precision, arch, notation = str(facts["precision"]), facts["arch"], facts["notation"]
    except (OSError, KeyError, TypeError, ModelError) as error:
        raise run.damaged("model.json", error) from None
    except Exception as error:  # safetensors and torch raise their own kinds
        if is_out_of_memory(error):
            raise
        raise run.damaged(WEIGHTS, error) from None
    network.classifier.eval()
    return (
        Network(network.classifier, preprocess, arch, notation),
        classes,
        precision,
    )


def initial_network(model: ModelConfig, classes: tuple[str, ...], seed: int) -> Network:
    """The network before training: its weights random, published, a file's, or a run's."""
    folder = Path(model.weights) if model.weights and Path(model.weights).is_dir() else None
    with within_memory(
        f"There is not enough memory for the weights of '{model.arch}'. Use smaller layers, or G "
        "before the first dense one."
    ):
        own = replace(model, weights=None, pretrained=False) if folder else model
        network = create_network(own, len(classes), seed)
    if folder:
        load_initial_weights(network, Run(folder), classes)
    return network


def load_initial_weights(network: Network, run: Run, classes: tuple[str, ...]) -> None:
    """Load a run's weights into a network of the same arch; the head's too if the classes agree.

    Raises:
        RunError: the run is unfinished or damaged.
        ModelError: it is of another arch.
    """
    other, known, _ = load_model(run)
    try:
        network.classifier.backbone.load_state_dict(other.classifier.backbone.state_dict())
    except RuntimeError:
        raise ModelError(
            f"'{run.folder}' is a run of '{other.arch}', whose weights do not fit "
            f"'{network.arch}'. Use --arch '{other.arch}' with the run's own options."
        ) from None
    if known == classes:
        network.classifier.head.load_state_dict(other.classifier.head.state_dict())


def ancestor_runs(config: TrainConfig, data: Path) -> Iterator[Run]:
    """The runs of the same dataset whose weights a training starts from, or those started from."""
    seen: set[Path] = set()
    while config.model.weights and Path(config.model.weights).is_dir():
        run = Run(Path(config.model.weights))
        if (place := run.folder.resolve()) in seen:
            raise run.damaged("config.json", ValueError("it starts from its own weights"))
        seen.add(place)
        if run.data.resolve() == data.resolve():
            yield run
        config = run.config


def trained_on_validation(config: TrainConfig, data: Path) -> Run | None:
    """The ancestor run of a training that may have been trained on its validation photos.

    One that held out the same photos was not: by steps, with the same seed and share.
    """
    for run in ancestor_runs(config, data):
        held = [
            (c.seed, c.data.val_share, c.data.labels_per_class, c.data.pick, c.optim.is_probe)
            for c in (config, run.config)
        ]
        if held[0] != held[1]:
            return run
    return None


def save_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write a history as CSV: a row per batch and, after each epoch, a row per part."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_atomic(path, text.getvalue())
