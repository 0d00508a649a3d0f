"""Weights of repositories of the hub: fetched once, then from the cache; refusals in a sentence."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from imgcli.errors import ModelError, WrongUsage
from imgcli.models.hub_repository import config_of, pinned, repository, weights_folder
from tests.support.fake_hub import FakeHub, Repo, asked_by, use

WEIGHTS = save({"fc.weight": np.zeros((2, 3), np.float32)})
CONFIG = json.dumps({"architecture": "resnet18"}).encode()
OWLS = "hf://lab/owls"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with asked_by(monkeypatch, tmp_path / "cache") as hub:
        hub.repos["lab/owls"] = Repo()
        hub.repos["lab/owls"].commit({"config.json": CONFIG, "model.safetensors": WEIGHTS})
        yield hub


def test_a_branch_is_kept_by_its_commit_whose_files_are_fetched_once(hub: FakeHub) -> None:
    first = pinned(OWLS)
    folder = weights_folder(first)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    hub.repos["lab/owls"].commit({"model.safetensors": save({})})
    assert pinned(OWLS) != first == pinned(first)
    hub.log.clear()
    assert config_of(first) == {"architecture": "resnet18"}
    assert weights_folder(first) == folder and hub.log == []


def test_without_network_the_copy_in_the_cache_is_used_and_said(
    hub: FakeHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = weights_folder(OWLS)
    use(monkeypatch, "http://127.0.0.1:9", tmp_path / "cache")
    assert weights_folder(OWLS) == folder
    assert "cannot be reached: 'lab/owls' is as the cache has it" in capsys.readouterr().err
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9.*cannot be reached.*In the cache, '.*"):
        weights_folder("hf://lab/others")
    with pytest.raises(ModelError, match="cannot be reached"):
        pinned(f"hf://lab/owls@{'0' * 40}")


def test_weights_in_several_files_are_fetched_all(hub: FakeHub) -> None:
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    files = {"one.safetensors": WEIGHTS, "two.safetensors": WEIGHTS}
    hub.repos["lab/large"] = Repo()
    whole = {"model.safetensors.index.json": json.dumps(index).encode(), **files}
    hub.repos["lab/large"].commit(whole)
    folder = weights_folder("hf://lab/large")
    assert {path.name for path in folder.iterdir()} == whole.keys()
    hub.repos["lab/partial"] = Repo()
    hub.repos["lab/partial"].commit({name: whole[name] for name in list(whole)[:2]})
    with pytest.raises(ModelError, match=r"'lab/partial' lacks 'two\.safetensors'"):
        weights_folder("hf://lab/partial")


@pytest.mark.parametrize("name", ["hf://", "hf://lab", "hf://lab/a/b", "hf://lab/a@", "hf://a b/c"])
def test_what_is_no_repository_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(WrongUsage, match="OWNER/NAME"):
        repository(name)


def test_refusals_name_the_repository_and_the_remedy(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos["lab/empty"] = Repo()
    hub.repos["lab/empty"].commit({"README.md": b"nothing"})
    hub.repos["lab/private"] = Repo(private=True)
    for name, said in (
        ("hf://lab/empty", "holds no weights that are read here"),
        ("hf://lab/owls@v9", "no revision 'v9'"),
        ("hf://lab/none", "does not accept the token"),
        ("hf://lab/-owls--", "--weights hf://lab/-owls--"),
    ):
        with pytest.raises((ModelError, WrongUsage), match=said):
            pinned(name)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN_PATH", "/nowhere")
    with pytest.raises(ModelError, match="of a private one, set HF_TOKEN"):
        pinned("hf://lab/private")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (403, r"may not read 'lab/owls' .*403"),
        (404, r"has no repository 'lab/owls'"),
        (429, "wants fewer requests"),
        (503, r"failed \(503\) about 'lab/owls'"),
        ("cut", "The connection to .* broke"),
    ],
)
@pytest.mark.parametrize("asked", ["resolve", "download"])
def test_a_hub_that_refuses_or_breaks_off_is_told_in_a_sentence(
    hub: FakeHub, asked: str, fault: int | str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between tries
    hub.faults[asked] = fault
    with pytest.raises(ModelError, match=said) as caught:
        weights_folder(OWLS)
    assert "\n" not in str(caught.value)
