"""config.json of timm's beside weights: the network, its input, and how photos are prepared."""

import json
from pathlib import Path
from typing import Any

import pytest
import timm
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from imgcli.config import ModelConfig
from imgcli.models.create import create_network
from imgcli.models.weights_config import as_configured, choices_of
from imgcli.records import Preprocess
from tests.support.photos import write_classes
from tests.support.shell import Shell

CFG = {
    "input_size": [3, 48, 48],
    "mean": [0.1, 0.2, 0.3],
    "std": [0.4, 0.5, 0.6],
    "interpolation": "bilinear",
    "crop_pct": 0.8,
}
FOLDER = {"architecture": "test_resnet", "pretrained_cfg": CFG}


def written(folder: Path, config: Any) -> Path:
    folder.mkdir()
    save_file(timm.create_model("test_resnet").state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_photos_are_prepared_as_for_the_weights(here: Path) -> None:
    folder = written(here / "weights", FOLDER)
    made = create_network(ModelConfig("test_resnet", weights=str(folder)), 3).preprocess
    assert (made.mean, made.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (made.interpolation, made.crop) == ("bilinear", 0.8)


def test_a_folder_on_disk_names_its_network_too(here: Path, shell: Shell) -> None:
    written(here / "weights", FOLDER)
    write_classes(here / "dataset/train", per_class=4)
    made = shell.json("train", "--weights", "weights", "--freeze")
    assert made["arch"] == "test_resnet" and "48×48" in made["input"]


def test_older_folders_have_all_in_one(here: Path) -> None:
    old = {"architecture": "test_resnet", **CFG, "num_classes": 5}
    assert choices_of(old) == {"arch": "test_resnet", "image_size": 48}
    assert as_configured(Preprocess(48), old).mean == (0.1, 0.2, 0.3)


def test_arguments_become_options() -> None:
    args = {"in_chans": 1, "img_size": 32, "output_stride": 16}
    cfg = {"input_size": [1, 32, 32], "crop_mode": "border"}
    config = {"architecture": "test_vit", "model_args": args, "pretrained_cfg": cfg, "imgcli": {}}
    assert choices_of(config) == {
        "arch": "test_vit",
        "image_size": 32,
        "channels": 1,
        "model_args": {"output_stride": 16},
        "fit": "pad",
    }


@pytest.mark.parametrize("arch", ["resnet50", "test_vit"])
def test_of_another_network_nothing_follows(arch: str) -> None:
    assert choices_of(FOLDER, arch) == {}
    assert choices_of({"architecture": "no_such_net"}) == {}


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=30)
@given(
    config=st.dictionaries(st.sampled_from([*CFG, "pretrained_cfg", "model_args"]), junk),
    grey=st.booleans(),
)
def test_whatever_it_says_is_no_error(config: dict[str, Any], grey: bool) -> None:
    config = {**config, "architecture": "test_resnet"}
    for one in (config, {"architecture": "test_resnet", "pretrained_cfg": config}):
        assert choices_of(one)["arch"] == "test_resnet"
        made = as_configured(Preprocess(32, channels=1 if grey else 3), one)
        assert len(made.mean) == len(made.std) == 3 and min(made.std) > 0 and 0 < made.crop <= 1
