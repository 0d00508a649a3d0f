"""A run as a folder of timm: what timm reads from it has the run's logits."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

from imgcli.errors import ModelError
from imgcli.export import timm_folder
from imgcli.files import write_json
from imgcli.models.network import Network
from imgcli.photos.views import decode_photos
from imgcli.runs import Run
from imgcli.training.inputs import to_images
from imgcli.training.model_io import load_model
from tests.support.photos import make_photo
from tests.support.trained_runs import begun

CLASSES = ("blue", "green", "red")
FAITHFUL: dict[str, dict[str, Any]] = {
    "timm": {"arch": "test_resnet"},
    "frozen": {"arch": "test_efficientnet", "freeze": True, "image_size": 64},
    "of a fixed size": {"arch": "test_vit", "image_size": 32},
    "grey": {"arch": "test_resnet", "channels": 1},
    "a head that is a convolution": {"arch": "test_mambaout"},
    "with arguments": {"arch": "test_resnet", "model_args": {"output_stride": 16}},
    "torchvision": {"arch": "torchvision/resnet18", "image_size": 32},
}


def written(run: Run, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    timm_folder.write([run], folder)
    found: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
    return found


@pytest.mark.parametrize("kind", FAITHFUL)
def test_timm_reads_the_runs_logits_from_it(here: Path, kind: str) -> None:
    run = begun(here / "runs", **FAITHFUL[kind])
    config = written(run, here / "out")
    network, _, _ = load_model(run)
    read = timm.create_model(f"local-dir:{here / 'out'}", pretrained=True).eval()
    shape = tuple(config["pretrained_cfg"]["input_size"])
    assert shape == (network.preprocess.channels, *[network.preprocess.size] * 2)
    images = torch.rand(3, *shape)
    with torch.inference_mode():
        assert torch.allclose(read(images), network.classifier(images), atol=1e-5)
    assert read.num_classes == config["num_classes"] == 3
    assert {path.name for path in (here / "out").iterdir()} == {"config.json", "model.safetensors"}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "layers": ({"arch": "8C3-P2", "image_size": 16}, "made of layers in imgcli's notation"),
    "zoo": ({"arch": "tiny-mnist"}, "made of layers in imgcli's notation"),
    "several": ({"arch": "test_resnet+test_vit", "freeze": True}, "features of 2 networks"),
    "mirror": ({"arch": "test_resnet", "freeze": True, "mirror": True}, "its mirror image"),
    "power": (
        {"arch": "test_resnet", "freeze": True, "feature_power": 0.5},
        "--feature-power 0.5 asks",
    ),
    "torchvision's alone": (
        {"arch": "squeezenet1_1", "image_size": 32},
        "timm has no network 'squeezenet1_1'",
    ),
    "another of that name": (
        {"arch": "torchvision/efficientnet_b0", "image_size": 32},
        "timm's 'efficientnet_b0' has other layers",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_timm_does_not_build_is_refused_with_the_remedy(here: Path, kind: str) -> None:
    choices, said = REFUSED[kind]
    run = begun(here / "runs", **choices)
    with pytest.raises(ModelError, match=f"{run.folder.name}.*{said}.*--format onnx"):
        written(run, here / "out")


def test_several_runs_are_refused(here: Path) -> None:
    run = begun(here / "runs", arch="test_resnet")
    with pytest.raises(ModelError, match=r"of 2 runs are averaged.*--format onnx"):
        timm_folder.write([run, run], here)


def test_a_network_of_other_logits_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(here / "runs", arch="test_resnet")

    def changed(path: Path, data: dict[str, Any], **_: Any) -> None:
        data["model_args"] = {"output_stride": 8}  # the same tensors, another network
        write_json(path, data)

    monkeypatch.setattr(timm_folder, "write_json", changed)
    with pytest.raises(ModelError, match="the logits of timm's network are others"):
        written(run, here / "out")


def through_timm(folder: Path, photo: Path) -> torch.Tensor:
    model = timm.create_model(f"local-dir:{folder}", pretrained=True)
    transform = create_transform(**resolve_data_config({}, model=model))
    found: torch.Tensor = transform(Image.open(photo).convert("RGB"))
    return found


def through_imgcli(network: Network, photo: Path) -> torch.Tensor:
    (block,) = decode_photos([str(photo)], 1, network.preprocess)
    return to_images(torch.from_numpy(np.asarray(block.images)), network.preprocess)[0]


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_timms_transform_of_it_is_imgclis_preprocessing(here: Path, fit: str) -> None:
    run = begun(here / "runs", arch="test_resnet", fit=fit, image_size=96)
    written(run, here / "out")
    make_photo(3, (240, 160)).save(here / "photo.png")
    network, _, _ = load_model(run)
    ours, theirs = (
        through_imgcli(network, here / "photo.png"),
        through_timm(here / "out", here / "photo.png"),
    )
    assert ours.shape == theirs.shape
    apart = (ours - theirs).abs()
    if fit == "pad":  # timm's border is of the mean colour, imgcli's black, as the card says
        apart = apart[:, 20:-20]
    assert float(apart.mean()) < 0.02
