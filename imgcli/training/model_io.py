"""A trained network in its run folder: weights as safetensors, everything else as JSON."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from imgcli.config import ModelConfig, TrainConfig
from imgcli.errors import ModelError
from imgcli.files import write_atomic
from imgcli.latest_run import finish_run
from imgcli.models.create import create_network
from imgcli.models.hub_repository import is_hub
from imgcli.models.joined import networks_of
from imgcli.models.memory import is_out_of_memory, within_memory
from imgcli.models.network import Network
from imgcli.models.weights import (
    CLASSES,
    Head,
    is_checkpoint_folder,
    own_head,
    read_tensors,
    write_state,
)
from imgcli.progress import note_once
from imgcli.reading import digest_of
from imgcli.records import Preprocess
from imgcli.runs import Run
from imgcli.text import count

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
    state: Mapping[str, Tensor] = network.classifier.state_dict()
    with suppress(Exception):  # what cannot be built again as a whole keeps our own names
        state = with_library_names(network, config.model, state, len(classes))
    write_state(run.folder / WEIGHTS, state, {CLASSES: json.dumps(classes)})
    finish_run(
        run,
        {
            "arch": network.arch,
            "notation": network.notation,
            "model_args": dict(config.model.model_args),
            "mirror": bool(config.model.mirror),
            "feature_power": config.model.feature_power or 1.0,
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
        model = _stored_model(facts)
        network = create_network(model, len(classes))
        state = read_tensors(run.folder / WEIGHTS)[0]
        network.classifier.load_state_dict(with_own_names(network, state))
        preprocess = Preprocess.from_json(facts["preprocess"])
        precision, arch, notation = str(facts["precision"]), facts["arch"], facts["notation"]
    except (OSError, KeyError, TypeError, ModelError) as error:
        raise run.damaged("model.json", error) from None
    except Exception as error:  # safetensors and torch raise their own kinds
        if is_out_of_memory(error):
            raise
        raise run.damaged(WEIGHTS, error) from None
    network.classifier.eval()
    return (
        Network(network.classifier, preprocess, arch, notation, network.head_name),
        classes,
        precision,
    )


def _stored_model(facts: Mapping[str, Any]) -> ModelConfig:
    """What builds the network again of which `model.json` speaks, without its weights."""
    preprocess = Preprocess.from_json(facts["preprocess"])
    return ModelConfig(
        facts["arch"],
        facts["notation"],
        facts["model_args"],
        image_size=preprocess.size,
        channels=preprocess.channels,
        mirror=facts.get("mirror", False),  # older runs have neither
        feature_power=facts.get("feature_power"),
        pretrained=False,
    )


def stored_model(run: Run) -> ModelConfig:
    """The network of a finished run as it can be built again; its weights are `load_model`'s.

    Raises:
        RunError: `model.json` is missing or damaged.
    """
    try:
        return _stored_model(run.read_json("model.json"))
    except (KeyError, TypeError) as error:
        raise run.damaged("model.json", error) from None


def with_library_names(
    network: Network, model: ModelConfig, state: Mapping[str, Tensor], classes: int
) -> Mapping[str, Tensor]:
    """A classifier's tensors by the names that timm's or torchvision's own network has for them.

    So the file can be loaded there as it is. Layer notation, and networks whose own head is of
    another make, keep `backbone.` and `head.`.
    """
    if network.head_name is None:
        return state
    from imgcli.models.libraries import shapes_of

    model = replace(model, arch=network.arch, image_size=network.preprocess.size)
    shapes = shapes_of(model, network.preprocess.channels, classes)
    named = {}
    for name, value in state.items():
        own = name.startswith("backbone.")
        new = name.removeprefix("backbone.") if own else f"{network.head_name}{name[4:]}"
        wanted = shapes.get(new, ())
        named[new] = value if own or len(wanted) != 4 else value[..., None, None]
    fits = {name: tuple(value.shape) for name, value in named.items()} == shapes
    return named if fits else state


def with_own_names(network: Network, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse of `with_library_names`."""
    own = network.classifier.state_dict()
    if network.head_name is None or state.keys() == own.keys():
        return dict(state)
    heads = {f"{network.head_name}.{name}": f"head.{name}" for name in ("weight", "bias")}
    named = {heads.get(name, f"backbone.{name}"): value for name, value in state.items()}
    for name in heads.values():
        if name in named and name in own and named[name].numel() == own[name].numel():
            named[name] = named[name].reshape(own[name].shape)
    return named


def _run_of(weights: str | None) -> Run | None:
    """The run whose folder, or whose file of weights in it, is given as weights."""
    if not weights or is_hub(weights):
        return None
    path = Path(weights)
    if path.name == WEIGHTS and Run(path.parent).finished:
        return Run(path.parent)
    if not path.is_dir() or is_checkpoint_folder(path):
        return None
    if not Run(path).begun:
        raise ModelError(
            f"The folder '{path}' is no run's and has no model.safetensors or pytorch_model.bin. "
            "Give --weights a run's folder, a file of weights, or a folder with such a file."
        )
    return Run(path)


def initial_network(model: ModelConfig, classes: tuple[str, ...], seed: int) -> Network:
    """The network before training: its weights random, published, a file's, or a run's."""
    run = _run_of(model.weights)
    with within_memory(
        f"There is not enough memory for the weights of '{model.arch}'. Use smaller layers, or G "
        "before the first dense one."
    ):
        own = replace(model, weights=None, pretrained=False) if run else model
        network = create_network(own, len(classes), seed)
    if run:
        load_initial_weights(network, run, classes)
    elif network.given_head:
        _use_head(network, network.given_head, str(model.weights), classes)
    return network


def _use_head(network: Network, head: Head, source: str, classes: tuple[str, ...]) -> None:
    """Keep the head of a file if it is of the same classes, and say what became of it."""
    if own_head(head, network.classifier.head, classes):
        note_once(
            f"'{source}': its classifier is the start too, for its classes are the same. Accuracy "
            "on photos that it was trained on is optimistic."
        )
        return
    of = count(len(head.weight), "class", "classes")
    why = "does not name them" if head.classes is None else "has other classes"
    note_once(f"'{source}': its classifier of {of} is left out, for the file {why}.")


def load_initial_weights(network: Network, run: Run, classes: tuple[str, ...]) -> None:
    """Load a run's weights into a network of the same arch; the head's too if the classes agree.

    Raises:
        RunError: the run is unfinished or damaged.
        ModelError: it is of another arch.
    """
    other, known, _ = load_model(run)
    own, theirs = (networks_of(one.classifier.backbone) for one in (network, other))
    try:
        for module, trained in zip(own, theirs, strict=True):
            module.load_state_dict(trained.state_dict())
    except (RuntimeError, ValueError):  # other layers, or another number of networks
        raise ModelError(
            f"'{run.folder}' is a run of '{other.arch}', whose weights do not fit "
            f"'{network.arch}'. Use --arch '{other.arch}' with the run's own options."
        ) from None
    head, old = network.classifier.head, other.classifier.head
    if known == classes and head.in_features == old.in_features:
        note_once(f"'{run.folder}': its classifier is the start too, for its classes are the same.")
        head.load_state_dict(old.state_dict())


def ancestor_runs(config: TrainConfig, data: Path) -> Iterator[Run]:
    """The runs of the same dataset whose weights a training starts from, or those started from."""
    return (run for run in ancestors(config) if run.data.resolve() == data.resolve())


def ancestors(config: TrainConfig) -> Iterator[Run]:
    """The runs whose weights a training starts from, and those that they started from."""
    seen: set[Path] = set()
    while run := _run_of(config.model.weights):
        if (place := run.folder.resolve()) in seen:
            raise run.damaged("config.json", ValueError("it starts from its own weights"))
        seen.add(place)
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
