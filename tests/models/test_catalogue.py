"""The list of networks: what the libraries say, read without importing them."""

import os
from pathlib import Path

import pytest

from imgcli.models import catalogue
from imgcli.models.catalogue import KEPT, Networks, listed_source, of_libraries
from imgcli.models.libraries import listed, source_of


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of a user with other versions than those of the list that is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(catalogue, "version", lambda library: "9.9+cpu")
    return tmp_path / "imgcli"


def test_what_is_kept_is_what_the_libraries_list() -> None:
    found = of_libraries()
    assert found == Networks(found.versions, *listed()), (
        f"{KEPT.name} is not of these libraries any more; write it again: "
        "write(KEPT, Networks(of_libraries().versions, *listed()))"
    )


def test_the_list_of_other_versions_is_made_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = of_libraries()
    assert networks.versions == {"timm": "9.9", "torchvision": "9.9"}
    assert (networks.timm, networks.torchvision) == listed()
    monkeypatch.setattr("imgcli.models.libraries.listed", lambda: pytest.fail("made again"))
    assert of_libraries() == networks


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}', '{"format": 2, "timm": 3}'])
def test_a_damaged_list_is_made_again(cache: Path, text: str) -> None:
    expected = of_libraries()
    (file,) = cache.iterdir()
    file.write_text(text)
    assert of_libraries() == expected
    assert catalogue.read_document(file, Networks, 2) == expected


@pytest.mark.parametrize(
    "arch", ["resnet18", "torchvision/resnet18", "googlenet", "torchvision/googlenet", "darknet17"]
)
def test_the_list_knows_where_the_libraries_publish_weights(arch: str) -> None:
    assert listed_source(arch) == source_of(arch)


@pytest.mark.parametrize("arch", ["alexnet", "mnist-best", "32C5-P2-64", "resnet18.a1_in1k", "no"])
def test_the_list_knows_nothing_of_what_is_not_in_it(arch: str) -> None:
    assert listed_source(arch) is None


def test_a_home_that_cannot_be_written_to_is_no_obstacle(cache: Path) -> None:
    cache.write_text("")  # a file in the place of the folder
    assert of_libraries().timm


def test_an_unfinished_list_is_not_left(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(parents=True)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert of_libraries().timm
    assert list(cache.iterdir()) == []
