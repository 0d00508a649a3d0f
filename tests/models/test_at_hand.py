"""The networks whose weights are installed or cached, by the names that --arch takes."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import timm
import torch
import torchvision
from huggingface_hub import constants

from imgcli.config import ModelConfig
from imgcli.errors import ModelError
from imgcli.models import bundled
from imgcli.models.at_hand import SMALL, archs_at_hand, cached_archs
from imgcli.models.create import create_network
from imgcli.models.describe import describe
from imgcli.models.libraries import published_weights, refuse_unknown
from tests.support.weights import write_hub_cache


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The caches of the hub and of torch, which are empty."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    yield tmp_path


def test_with_empty_caches_what_is_installed_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    assert archs_at_hand() == list(bundled.BUNDLED)
    monkeypatch.setattr(bundled, "BUNDLED", {})
    assert archs_at_hand() == []


def test_a_cached_network_goes_by_its_name_or_by_name_and_tag(caches: Path) -> None:
    archs = {"test_resnet": 0, "resnet18.tv_in1k": 0, "tf_efficientnet_lite0": 0}
    write_hub_cache(caches / "hub", archs)
    (caches / "hub" / "models--timm--resnet34.a1_in1k" / "refs").mkdir(parents=True)  # no file
    assert sorted(cached_archs()) == ["resnet18.tv_in1k", "test_resnet", "tf_efficientnet_lite0"]
    assert archs_at_hand() == [*bundled.BUNDLED, "resnet18.tv_in1k", "test_resnet"]
    for arch in cached_archs():
        assert published_weights(arch).is_file()


def test_what_torch_has_fetched_is_found_by_its_file(caches: Path) -> None:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True)
    urls = [
        torchvision.models.get_model_weights(name).DEFAULT.url
        for name in ("resnet50", "mobilenet_v2")  # timm has the first as well
    ]
    for url in (*urls, timm.models.get_pretrained_cfg("legacy_seresnet18").url):
        (folder / Path(urlsplit(url).path).name).write_bytes(b"weights")
    found = ["legacy_seresnet18", "mobilenet_v2", "torchvision/resnet50"]
    assert sorted(cached_archs()) == found
    for arch in found:
        assert published_weights(arch).parent == folder


def test_small_networks_are_small_and_have_published_weights() -> None:
    assert len(SMALL) == len(set(SMALL)) == 8
    for arch in SMALL:
        refuse_unknown(arch)
        config = timm.models.get_pretrained_cfg(arch)
        assert config.hf_hub_id or config.url
        assert describe(arch, classes=10).params["total"] <= 12_000_000


@pytest.mark.parametrize("arch", ["test_resnet", "mobilenet_v2"])
def test_damaged_weights_in_a_cache_are_a_sentence(caches: Path, arch: str) -> None:
    write_hub_cache(caches / "hub", {"test_resnet": 0})
    if arch == "mobilenet_v2":
        url = torchvision.models.get_model_weights(arch).DEFAULT.url
        file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name
        file.parent.mkdir(parents=True)
    else:
        (file,) = (caches / "hub").glob("*/snapshots/*/model.safetensors")
    file.write_bytes(b"no tensors")
    sentence = f"published weights of '{arch}' in the cache are damaged: '{file}'. Remove that file"
    with pytest.raises(ModelError, match=re.escape(sentence)):
        create_network(ModelConfig(arch=arch), classes=2)
