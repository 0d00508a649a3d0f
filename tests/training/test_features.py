"""Frozen features: the same bits however they came about, and whatever memory there is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imgcli.config import ModelConfig, TrainConfig
from imgcli.errors import ModelError
from imgcli.models.create import create_network
from imgcli.models.fused_graph import GRAPH, LAYERS
from imgcli.models.network import Classifier, Network
from imgcli.photos.dataset import load_dataset
from imgcli.records import Preprocess, Samples
from imgcli.training.context import trained_context
from imgcli.training.features import extract_features, frozen_features
from imgcli.training.outputs import probs_by
from imgcli.training.pipeline import train_run
from tests.support.processor import needs_bf16

CPU = torch.device("cpu")


def some(samples: Samples, places: list[int]) -> Samples:
    return Samples(
        samples.root,
        tuple(samples.paths[i] for i in places),
        samples.targets[places],
        samples.groups[places],
        tuple(samples.digests[i] for i in places),
        samples.classes,
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_photo_has_the_same_features_whatever_its_neighbours(here: Path, precision: str) -> None:
    # In batches of 3 and of 16 its last layer sums in different orders.
    network = create_network(ModelConfig("32C3-P2-64C3-P2-128", image_size=32), 3)
    samples = load_dataset(Path("dataset")).samples
    at_once, _ = frozen_features(network, samples, CPU, precision, here / "one")
    kept = [5, 17, 40]
    first, _ = frozen_features(network, some(samples, kept), CPU, precision, here / "two")
    assert torch.equal(first, at_once[kept])
    later, _ = frozen_features(network, samples, CPU, precision, here / "two")
    assert torch.equal(later, at_once)


class Small(nn.Module):
    """A backbone that has memory for so many photos."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.most:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        return images.mean((2, 3))


def test_features_are_extracted_in_smaller_batches_where_memory_is_short(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = load_dataset(Path("dataset")).samples
    found = []
    for most in (2, 100):
        network = Network(Classifier(Small(most), nn.Linear(3, 3)), Preprocess(16), "x", None)
        features, _ = frozen_features(network, samples, CPU, "fp32", here / str(most))
        found.append(features)
    torch.testing.assert_close(*found)
    told = capsys.readouterr().err
    assert told.count("batches of 16 are now computed 2 at a time") == 1


def test_where_not_one_photo_fits_a_sentence_says_so(here: Path) -> None:
    class Full(Small):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) if images.any() else images.mean((2, 3))

    network = Network(Classifier(Full(0), nn.Linear(3, 3)), Preprocess(16), "x", None)
    samples = load_dataset(Path("dataset")).samples
    with pytest.raises(ModelError, match="not enough memory"):
        frozen_features(network, samples, CPU, "fp32", here / "cache")


class Untraceable(nn.Module):
    """A backbone of no family, which has no graph."""

    def forward(self, images: Tensor) -> Tensor:
        if torch.jit.is_tracing():
            raise TypeError("this way of its own cannot be traced")
        return images.mean((2, 3))


def test_a_backbone_without_a_graph_is_computed_by_its_layers_and_a_note_says_so(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = load_dataset(Path("dataset")).samples
    network = Network(Classifier(Untraceable(), nn.Linear(3, 3)), Preprocess(16), "own", None)
    layers = extract_features(network, samples, CPU, "fp32", here / "one")
    monkeypatch.setattr("imgcli.training.features.choose_engine", lambda *_: GRAPH)
    found = extract_features(network, samples, CPU, "fp32", here / "two")
    assert torch.equal(found.features, layers.features)
    assert found.engine == layers.engine == LAYERS
    said = capsys.readouterr().err
    assert said.count("own is computed layer by layer") == 1 and "cannot be traced" in said


@needs_bf16
@needs_bf16
def test_the_head_decides_alike_on_the_features_of_both_engines_which_are_kept_apart(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig.of(
        arch="mobilenetv2_050", freeze=True, pretrained=False, image_size=64, precision="bf16"
    )
    monkeypatch.setattr("imgcli.training.context.choose_precision", lambda *_, **__: "bf16")
    probs, engines = [], []
    for engine in (GRAPH, LAYERS):
        monkeypatch.setattr("imgcli.training.features.choose_engine", lambda *_, e=engine: e)
        trained = train_run(config, Path("dataset"), Path(f"runs-{engine}"), "cpu")
        engines.append(trained.document["engine"])
        context = trained_context(trained.run, trained.run.config, None, "cpu")
        rows = context.rows("all")
        probs.append(probs_by(context, context.network.classifier.head, rows))
    assert engines == [GRAPH, LAYERS]
    assert len(list((here / ".imgcli/cache/features").iterdir())) == 2
    graph, layers = probs
    assert np.abs(graph - layers).max() < 0.03
    second, first = np.sort(layers, axis=1)[:, -2:].T
    clear = first - second > 0.06
    assert clear.any()
    assert (graph.argmax(axis=1) == layers.argmax(axis=1))[clear].all()
