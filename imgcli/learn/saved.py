"""A trained network in its run folder: weights as safetensors, everything else as JSON."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from imgcli import storage, workspace
from imgcli.errors import ModelError
from imgcli.learn.task import Task
from imgcli.models.create import create_network
from imgcli.models.network import Classifier, Network
from imgcli.records import Preprocess
from imgcli.workspace import Run

WEIGHTS = "model.safetensors"
_COLUMNS = ("epoch", "step", "part", "n", "loss", "accuracy", "macro_precision", "macro_f1", "lr")


def save_model(run: Run, task: Task, classifier: Classifier, facts: Mapping[str, Any]) -> None:
    """Write the weights, then `model.json` with all that is needed to use them.

    Args:
        facts: what else the run should remember: parameters, figures, seconds.
    """
    state = {
        name: value.detach().cpu().contiguous() for name, value in classifier.state_dict().items()
    }
    with storage.atomic_file(run.folder / WEIGHTS) as temporary:
        save_file(state, temporary)
    network = task.network
    workspace.finish_run(
        run,
        {
            "arch": network.arch,
            "notation": network.notation,
            "model_args": dict(task.config.model_args),
            "classes": list(task.classes),
            "preprocess": asdict(network.preprocess),
            "precision": task.config.precision,
            **facts,
        },
    )


def load_model(run: Run) -> tuple[Network, tuple[str, ...], str]:
    """A run's network with its weights, its classes, and the precision it was trained in.

    Raises:
        RunError: something is missing, damaged or does not fit together.
    """
    facts = run.read_json("model.json")
    try:
        classes = tuple(facts["classes"])
        preprocess = Preprocess.from_json(facts["preprocess"])
        network = create_network(
            facts["notation"] or facts["arch"],
            len(classes),
            image_size=preprocess.size,
            channels=preprocess.channels,
            model_args=facts["model_args"],
            pretrained=False,
        )
        network.classifier.load_state_dict(load_file(run.folder / WEIGHTS))
        precision = str(facts["precision"])
    except (OSError, KeyError, TypeError, ModelError) as error:
        raise run.damaged("model.json", error) from None
    except Exception as error:  # safetensors and torch raise their own kinds
        raise run.damaged(WEIGHTS, error) from None
    network.classifier.eval()
    return (
        Network(network.classifier, preprocess, facts["arch"], facts["notation"]),
        classes,
        precision,
    )


def save_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write a history as CSV: a row per batch and, after each epoch, a row per part."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    storage.write_atomic(path, text.getvalue())
