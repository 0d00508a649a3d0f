"""Runs of several frozen networks: `--arch a+b`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from imgcli.config import TrainConfig
from imgcli.errors import ModelError, WrongUsage
from imgcli.models.joined import networks_of
from imgcli.photos.dataset import load_dataset
from imgcli.run_lookup import find_run
from imgcli.training.features import frozen_features
from imgcli.training.model_io import load_model
from imgcli.training.resolve_defaults import resolve_defaults
from tests.support.joined import network_of, same_weights
from tests.support.shell import Shell, imgcli

CPU = torch.device("cpu")
PAIR = "test_resnet+test_efficientnet"


def test_features_of_a_network_alone_are_used_again_for_several(here: Path) -> None:
    samples = load_dataset(Path("dataset")).samples
    joined, first, _ = (network_of(arch) for arch in (PAIR, *PAIR.split("+")))
    same_weights(joined, first, network_of("test_efficientnet"))
    alone, _ = frozen_features(first, samples, CPU, "fp32", here / "cache")
    (rows,) = (here / "cache/features").glob("*/rows.bin")
    kept = rows.stat().st_mtime_ns
    both, _ = frozen_features(joined, samples, CPU, "fp32", here / "cache")
    assert torch.equal(both[:, : alone.shape[1]], alone)
    assert len(list((here / "cache/features").iterdir())) == 2
    assert rows.stat().st_mtime_ns == kept


@pytest.mark.parametrize("more", [(), ("--mirror", "--feature-power", "0.5")])
def test_a_run_of_several_is_evaluated_and_predicts(
    here: Path, shell: Shell, more: tuple[str, ...]
) -> None:
    words = ("--arch", PAIR, "--freeze", "--no-pretrained", "--image-size", "32", "--quiet")
    assert shell.json("train", *words, *more)["arch"] == PAIR
    folds = shell.json("evaluate", "--folds", "3")
    assert folds["n"] > 20
    shell.json("evaluate")
    stored = np.load("runs/latest/predictions-test.npz")
    photos = [f"dataset/{path}" for path in stored["paths"]]
    found = shell.json("predict", *photos)["predictions"]
    for photo, probs in zip(found, stored["probs"], strict=True):
        assert photo["confidence"] == pytest.approx(probs.max(), abs=1e-3)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({}, "add --freeze"),
        ({"freeze": True, "unfreeze_after": 1}, "without --unfreeze-after"),
        ({"freeze": True, "arch": "test_resnet+alexnet"}, "has no published weights"),
        ({"arch": "test_resnet", "mirror": True}, "--mirror joins features of a frozen backbone"),
        ({"freeze": True, "mirror": True, "test_flip": True}, "leave out one of them"),
        ({"freeze": True, "mirror": True, "test_shift": 1}, "--test-shift 1 takes the mean"),
        ({"arch": "test_resnet", "feature_power": 0.5}, "add --freeze"),
        ({"freeze": True, "feature_power": 2.0}, "must be above 0 and at most 1"),
        ({"freeze": True, "feature_power": 0.5, "test_flip": True}, "--mirror does"),
        ({"freeze": True, "feature_power": 0.5, "test_shift": 1}, "not go with --test-shift 1"),
    ],
)
def test_what_cannot_be_joined_is_refused(choices: dict[str, Any], said: str) -> None:
    with pytest.raises((WrongUsage, ModelError), match=said):
        resolve_defaults(TrainConfig.of(**{"arch": PAIR, **choices}))


@pytest.mark.parametrize("arch", ["test_resnet+nonsense", "test_resnet+"])
def test_each_network_must_be_known(
    here: Path, capsys: pytest.CaptureFixture[str], arch: str
) -> None:
    assert imgcli("train", "--arch", arch, "--freeze", "--no-pretrained") == 1
    assert f"No arch '{arch[12:]}'" in capsys.readouterr().err


def turned(folder: str) -> None:
    """Two classes of photos that are mirror images of each other."""
    rng = np.random.default_rng(0)
    for name, side in (("left", 1), ("right", -1)):
        Path(folder, name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(60, 120, (32, 32, 3), dtype=np.uint8)
            pixels[8:24, 2:12] += 100
            Image.fromarray(pixels[:, ::side]).save(Path(folder, name, f"{i}.png"))


def test_mirror_images_are_joined_so_that_left_is_still_told_from_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    monkeypatch.chdir(tmp_path)
    turned("raw")
    assert imgcli("split", "raw", "--ratio", "0.7", "--quiet") == 0
    words = ("--arch", "32C5-P4-64", "--freeze", "--no-pretrained", "--image-size", "32")
    accuracies = {}
    for option in ("--test-flip", "--mirror"):
        shell.json("train", *words, option)
        accuracies[option] = shell.json("evaluate", "--folds", "3")["accuracy"]["value"]
    assert accuracies["--test-flip"] < 0.7 and accuracies["--mirror"] > 0.9
    assert len(list(Path(".imgcli/cache/features").iterdir())) == 3
    network, *_ = load_model(find_run())
    backbone = network.classifier.backbone
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        once, mirrored = backbone(images), backbone(images.flip(-1))
    half = once.shape[1] // 2
    torch.testing.assert_close(once, torch.cat([mirrored[:, half:], mirrored[:, :half]], dim=1))


def test_a_run_with_mirror_images_is_a_start_for_one_without(here: Path) -> None:
    frozen = ("--freeze", "--no-pretrained", "--image-size", "32")
    assert imgcli("train", "--arch", "32C5-P4-64", *frozen, "--mirror") == 0
    first = load_model(find_run())[0].classifier.backbone
    assert imgcli("train", "--arch", "32C5-P4-64", *frozen, "--weights", "runs/latest") == 0
    (own,), (theirs,) = (
        networks_of(load_model(find_run())[0].classifier.backbone),
        networks_of(first),
    )
    for name, weights in own.state_dict().items():
        assert torch.equal(weights, theirs.state_dict()[name])
