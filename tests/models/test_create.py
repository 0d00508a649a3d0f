"""A name becomes a network: from the zoo, timm, torchvision, or a line of notation."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from imgcli.config import ModelConfig
from imgcli.errors import ModelError
from imgcli.models.create import create_network
from imgcli.models.network import count_params, fingerprint
from imgcli.models.zoo import ZOO
from imgcli.records import Preprocess


def test_alexnet_has_the_parameters_of_the_paper_without_its_groups() -> None:
    network = create_network(ModelConfig("alexnet"), 28)
    assert count_params(network.classifier)["total"] == 58_396_060
    assert network.preprocess.size == 227


def test_the_companions_are_smaller_alexnets() -> None:
    convolutions = {name: ZOO[name].notation.count("C") for name in ZOO}
    assert convolutions["alexnet"] - convolutions["flat-alexnet"] == 2
    narrow, whole = (create_network(ModelConfig(name), 5) for name in ("narrow-alexnet", "alexnet"))
    assert count_params(narrow.classifier)["total"] < count_params(whole.classifier)["total"]


@pytest.mark.parametrize(
    "arch",
    [
        "resnet18",
        "vit_tiny_patch16_224",
        "torchvision/squeezenet1_1",
        "googlenet",
        "32C5S2-P2-64",
    ],
)
def test_every_kind_of_arch_gives_features_and_logits(arch: str) -> None:
    network = create_network(ModelConfig(arch, pretrained=False), 7)
    size = network.preprocess.size
    logits = network.classifier.eval()(torch.zeros(2, 3, size, size))
    assert logits.shape == (2, 7)


def test_a_seed_gives_one_network() -> None:
    one, same, other = (
        fingerprint(create_network(ModelConfig("small-cnn"), 4, seed).classifier)
        for seed in (1, 1, 2)
    )
    assert one == same != other


def test_an_unknown_arch_is_answered_with_close_names() -> None:
    with pytest.raises(ModelError, match=r"No arch 'resnet110'.*Did you mean .*resnet101"):
        create_network(ModelConfig("resnet110"), 3)
    with pytest.raises(ModelError, match=r"No arch 'ViT-B-16'.*Did you mean vit_b_16"):
        create_network(ModelConfig("ViT-B-16"), 3)


@pytest.mark.parametrize(
    ("slip", "token", "position"),
    [
        ("4C3-P2]", "]", 7),
        ("4C3]", "]", 4),
        ("D1.0-32", "D1.0", 1),
        ("MP2-32", "MP2", 1),
        ("16-X", "X", 4),
        ("32c5-p2-128", "32c5", 1),
        ("4C3_P2", "4C3_P2", 1),
    ],
)
def test_a_slip_in_a_notation_is_marked(slip: str, token: str, position: int) -> None:
    with pytest.raises(ModelError) as caught:
        create_network(ModelConfig(slip), 3)
    assert str(caught.value).startswith(f"'{token}' at position {position} of '{slip}' ")


def test_an_argument_that_the_arch_does_not_take_is_named() -> None:
    with pytest.raises(ModelError, match=r"'resnet18' cannot be built .*no_such_option"):
        create_network(
            ModelConfig("resnet18", pretrained=False, model_args={"no_such_option": 1}), 3
        )
    with pytest.raises(ModelError, match="takes no --model-arg"):
        create_network(ModelConfig("alexnet", model_args={"pad_type": "same"}), 3)


@pytest.mark.parametrize("arch", ["inception_v3", "torchvision/inception_v3"])
def test_photos_too_small_for_an_arch_are_a_sentence(arch: str) -> None:
    with pytest.raises(ModelError, match=rf"'{arch}' does not take inputs of 3×20×20: Given input"):
        create_network(ModelConfig(arch, image_size=20, pretrained=False), 3)


def test_a_network_that_gives_no_features_is_a_sentence() -> None:
    with torch.device("meta"), pytest.raises(ModelError, match=r"gives \(1, 2048, 16, 16\), not"):
        create_network(ModelConfig("mobilenetv5_300m_enc", pretrained=False), 3)


def test_the_transformers_of_torchvision_are_built_for_the_size_of_the_photos() -> None:
    network = create_network(
        ModelConfig("torchvision/vit_b_32", image_size=64, pretrained=False), 3
    )
    assert network.preprocess.size == 64


def test_weights_are_loaded_whole_and_the_old_head_is_left_aside(tmp_path: Path) -> None:
    import timm

    donor = timm.create_model("resnet18", num_classes=10)
    file = tmp_path / "donor.safetensors"
    save_file(donor.state_dict(), file)
    network = create_network(ModelConfig("resnet18", weights=str(file)), 3)
    donor.reset_classifier(0)
    assert fingerprint(network.classifier.backbone) == fingerprint(donor)


def test_a_pth_is_read_as_plain_tensors_and_nothing_is_unpickled(tmp_path: Path) -> None:
    network = create_network(ModelConfig("small-cnn"), 3, 1)
    state = {f"module.{k}": v for k, v in network.classifier.backbone.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "plain.pth")
    loaded = create_network(ModelConfig("small-cnn", weights=str(tmp_path / "plain.pth")), 3, 2)
    assert fingerprint(loaded.classifier.backbone) == fingerprint(network.classifier.backbone)
    torch.save({"weight": Path("a live object")}, tmp_path / "objects.pth")
    with pytest.raises(ModelError, match=r"objects.pth' holds no weights by name"):
        create_network(ModelConfig("small-cnn", weights=str(tmp_path / "objects.pth")), 3)


def test_weights_that_do_not_fit_are_named_by_layer(tmp_path: Path) -> None:
    state = create_network(
        ModelConfig("32C3-P2-64", image_size=8), 3
    ).classifier.backbone.state_dict()
    state["conv1.weight"] = torch.zeros(16, 3, 3, 3)
    del state["dense1.bias"]
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(ModelError) as caught:
        create_network(
            ModelConfig("32C3-P2-64", image_size=8, weights=str(tmp_path / "other.safetensors")), 3
        )
    assert "conv1.weight: (16, 3, 3, 3) in the file, (32, 3, 3, 3) in the network" in str(
        caught.value
    )
    assert "1 of 4 layers are missing from it ('dense1.bias')" in str(caught.value)


def test_missing_and_damaged_weight_files_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"No weights '.*none\.safetensors'"):
        create_network(ModelConfig("small-cnn", weights=str(tmp_path / "none.safetensors")), 3)
    (tmp_path / "torn.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(ModelError, match="cannot be read as weights"):
        create_network(ModelConfig("small-cnn", weights=str(tmp_path / "torn.safetensors")), 3)


@pytest.mark.shared
def test_the_real_weights_fit_their_arch(shared: Path) -> None:
    network = create_network(
        ModelConfig(
            "mobilenetv2_100",
            model_args={"pad_type": "same"},
            weights=str(shared / "weights" / "mobilenetv2_100.safetensors"),
        ),
        30,
    )
    assert network.classifier.head.in_features == 1280


@pytest.mark.parametrize("arch", ["8C3-P2-16", "W2-8C3", "resnet18", "torchvision/squeezenet1_1"])
def test_grey_photos_are_one_channel(arch: str) -> None:
    if arch.startswith("torchvision"):
        with pytest.raises(ModelError, match="squeezenet1_1' takes photos of 3 channels, not 1"):
            create_network(ModelConfig(arch, channels=1, pretrained=False), 3)
        return
    network = create_network(ModelConfig(arch, image_size=32, channels=1, pretrained=False), 3)
    assert network.preprocess.channels == 1
    assert network.classifier.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 3)


def test_grey_photos_are_normalised_as_the_colours_on_average() -> None:
    network = create_network(ModelConfig("resnet18", channels=1, pretrained=False), 3)
    assert network.preprocess.mean == pytest.approx([(0.485 + 0.456 + 0.406) / 3] * 3)
    assert "in grey, normalised by mean 0.449" in network.preprocess.describe()


def test_a_preprocess_written_before_there_was_grey_is_read() -> None:
    grey = Preprocess(28, channels=1)
    document = asdict(grey)
    assert Preprocess.from_json(document) == grey
    del document["channels"]
    assert Preprocess.from_json(document) == Preprocess(28, channels=3)
    assert grey.geometry() == Preprocess(28).geometry()  # the decoded pixels are the same


@pytest.mark.parametrize(
    ("notation", "channels", "size"),
    [
        ("784 - [32C3-32C3-32C5S2] - [64C3-64C3-64C5S2] - 128 - 10", 1, 28),
        ("3072-8C3-P2-16-10", 3, 32),
        ("3x40x40-8C3-P2-16-10", 3, 40),
        ("784-R[R[1C3]]-16-10", 1, 28),  # a picture, however deep its first convolution lies
        ("1x12x12-30-20-10", 1, 12),
        ("256-128", 3, 64),  # of dense layers only: 256 is the first of them
    ],
)
def test_a_leading_input_size_is_the_size_of_the_images(
    notation: str, channels: int, size: int
) -> None:
    preprocess = create_network(ModelConfig(notation), 10).preprocess
    assert (preprocess.channels, preprocess.size) == (channels, size)


def test_a_leading_input_size_and_another_asked_for_disagree() -> None:
    with pytest.raises(ModelError, match="is not the size of the images, which are 1×20×20"):
        create_network(ModelConfig("784-8C3-P2-16", image_size=20), 10)
