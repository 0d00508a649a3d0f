"""Where weights that were fetched before are found, as the hub's and torch's own programs do."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import try_to_load_from_cache

from imgcli.models.weights_cache import cached_file, hub_cache, torch_cache
from tests.support.caches import fetched_before

Patch = pytest.MonkeyPatch
URL = "https://download.example/models/net-0123.pth"


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_repository_of_the_hub_is_found_where_the_hub_keeps_it(
    name: str, tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert hub_cache() == tmp_path and cached_file("owner/net") is None
    file = fetched_before("owner/net", name=name)
    assert cached_file("owner/net") == file
    assert try_to_load_from_cache("owner/net", name, cache_dir=tmp_path) == str(file)
    assert cached_file("owner/another") is None


def test_an_interrupted_download_is_not_there(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--owner--net/blobs").mkdir(parents=True)
    (tmp_path / "models--owner--net/blobs/0123.incomplete").touch()
    assert cached_file("owner/net") is None


@pytest.mark.parametrize("variables", [{"TORCH_HOME": "t"}, {"XDG_CACHE_HOME": "x"}, {}])
def test_a_url_is_found_where_torch_keeps_it(
    variables: dict[str, str], tmp_path: Path, monkeypatch: Patch
) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    assert torch_cache() == Path(torch.hub.get_dir()) / "checkpoints"
    assert cached_file(URL) is None
    file = fetched_before(URL)
    assert file.is_relative_to(tmp_path) and cached_file(URL) == file


def test_torch_is_not_needed() -> None:
    code = (
        "from imgcli.models.weights_cache import cached_file; cached_file('a/b');"
        f"cached_file('{URL}'); import sys; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
