"""The zoo: every entry is a network at its own size; names of the libraries are found by words."""

import pytest

from imgcli.config import ModelConfig
from imgcli.models.catalogue import catalogue
from imgcli.models.create import create_network
from imgcli.models.describe import describe
from imgcli.models.zoo import ZOO


@pytest.mark.parametrize("name", ZOO)
def test_every_entry_is_a_network_for_its_own_photos(name: str) -> None:
    entry = ZOO[name]
    described = describe(name, 10)
    assert described.input == (entry.channels, entry.image_size, entry.image_size)
    assert described.notation == entry.notation
    assert entry.about and "\n" not in entry.about
    assert all(min(layer.output) > 0 for layer in described.layers)


def test_tiny_mnist_has_fewer_than_8000_parameters_in_all() -> None:
    assert describe("tiny-mnist", 10).params["total"] < 8_000


def test_flat_alexnets_differ_from_the_flat_one_in_what_they_are_named_for() -> None:
    counts = {name: describe(name, 10) for name in ZOO if name.startswith("flat-alexnet")}
    flat = counts["flat-alexnet"]
    macs = {name.removeprefix("flat-alexnet-"): d.macs for name, d in counts.items()}
    assert max(macs["hs"], macs["low-kernel"]) < flat.macs
    assert flat.macs < min(macs["ls"], macs["high-kernel"])
    dense = [x.output[0] for x in counts["flat-alexnet-opt"].layers if x.name[:5] == "dense"]
    assert dense[::2] == [2379, 5592, 7864]


def test_networks_for_digits_take_grey_photos_by_default() -> None:
    assert create_network(ModelConfig("mnist-base"), 10).preprocess.channels == 1
    assert create_network(ModelConfig("mnist-base", channels=3), 10).preprocess.channels == 3
    assert create_network(ModelConfig("small-cnn"), 10).preprocess.channels == 3


def test_names_are_found_by_all_their_words() -> None:
    found = catalogue(["ALEX", "flat"])
    assert {arch["name"] for arch in found["zoo"]} == {n for n in ZOO if n.startswith("flat-alex")}
    assert found["timm"] == found["torchvision"] == []
    found = catalogue(["resnet50_clip"])
    (clip,) = (arch for arch in found["timm"] if arch["name"] == "resnet50_clip")
    expected = {"name": "resnet50_clip", "input": [3, 224, 224], "weights": True}
    assert clip == {**expected, "installed": False, "cached": clip["cached"]}
    names = [arch["name"] for arch in catalogue(["torchvision"])["torchvision"]]
    assert "torchvision/resnet50" in names and "torchvision/alexnet" in names
    assert "squeezenet1_1" in names  # timm has none of that name


def test_every_name_in_the_catalogue_is_an_arch_of_its_library() -> None:
    for library, archs in catalogue(["net", "18"]).items():
        for arch in archs:
            built = create_network(ModelConfig(arch["name"], image_size=32, pretrained=False), 2)
            assert ("torchvision" in type(built.classifier.backbone).__module__) == (
                library == "torchvision"
            )


def test_networks_without_weights_are_listed_apart_from_those_with() -> None:
    archs = catalogue(["resnet50"])["timm"]
    weights = {arch["name"]: arch["weights"] for arch in archs}
    assert weights["resnet50"] and not weights["resnet50t"]
