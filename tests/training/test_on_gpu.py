"""Every branch for a device, on one that pretends: no two devices in an operation, and no step that
waits.

What waits stands here by name, so that nothing joins it unseen.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imgcli.config import ModelConfig, TrainConfig
from imgcli.errors import ModelError
from imgcli.models.create import create_network
from imgcli.photos.layout import new_photos
from imgcli.records import ONE_VIEW, AveragedViews, IntArray, Preprocess
from imgcli.training.augment import RECIPES, Recipe, augment, erase, mixing
from imgcli.training.device import to_device, widest
from imgcli.training.explain import explain_photos
from imgcli.training.inputs import PixelInputs, logits_of, normalise, to_images
from imgcli.training.lr_finder import find_rate
from imgcli.training.optim import optimizers
from imgcli.training.pipeline import train_run
from imgcli.training.predict import predict_photos
from imgcli.training.resolve_defaults import resolve_defaults
from imgcli.training.scoring import score_folds, score_test
from imgcli.training.shared_batch_norm import SharedBatchNorm
from imgcli.training.training_loop import (
    backward,
    new_state,
    optimizer_step,
    prepared,
    set_rate,
    set_train_mode,
)
from tests.support.pretended import PretendedDevice, Waited, pretended

VIEW = Preprocess(size=32, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
TINY = "4C3S2-P2-6"
DATA, RUNS = Path("dataset"), Path("runs")
CONFIG = TrainConfig.of(arch=TINY, image_size=16, epochs=2, batch_size=12, lr=0.01)
# timm's own; they read a value of the device in each step.
WAITING_OPTIMIZERS = ("adamp", "cadamp", "csgdp", "novograd", "novogradc", "novogradw", "sgdp")


@pytest.fixture
def gpu() -> Iterator[PretendedDevice]:
    with pretended() as device:
        yield device


# --- augmentation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recipe",
    [
        *RECIPES.values(),
        Recipe(rotate=10.0),
        Recipe(shear=5.0),
        Recipe(elastic=0.02),
        Recipe(colour=0.3),
    ],
    ids=[*RECIPES, "rotate", "shear", "elastic", "colour"],
)
@pytest.mark.parametrize("size", [32, 40])
def test_augmentation_happens_on_the_device(
    gpu: PretendedDevice, recipe: Recipe, size: int
) -> None:
    pixels = torch.zeros(6, size, size, 3, dtype=torch.uint8).to(gpu.device)
    gpu.doubles = False
    with gpu.no_waiting():
        images = normalise(augment(pixels, recipe, 32, torch.Generator()), VIEW)
        assert images.device.type == gpu.device.type and images.shape == (6, 3, 32, 32)
        assert images.is_contiguous(memory_format=torch.channels_last)
        erase(images, 0.5, torch.Generator())


def test_grey_photos_are_prepared_on_the_device(gpu: PretendedDevice) -> None:
    grey = replace(VIEW, mean=(0.5,), std=(0.2,), channels=1)
    pixels = torch.zeros(6, 32, 32, 3, dtype=torch.uint8).to(gpu.device)
    with gpu.no_waiting():
        for view in (VIEW, grey):
            assert to_images(pixels, view).shape[1] == view.channels
        normalise(augment(pixels, RECIPES["photo"], 32, torch.Generator()), grey)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.2, 0.0), (0.0, 1.0), (0.2, 1.0)])
def test_photos_are_mixed_on_the_device(gpu: PretendedDevice, mixup: float, cutmix: float) -> None:
    mix = mixing(mixup, cutmix, 5)
    assert mix
    images = torch.zeros(4, 3, 8, 8, device=gpu.device)
    with gpu.no_waiting():
        mix(images, torch.zeros(4, dtype=torch.long, device=gpu.device))


def test_random_augmentation_waits_for_each_photo_since_torchvision_does(
    gpu: PretendedDevice,
) -> None:
    torch.manual_seed(0)
    pixels = torch.zeros(6, 32, 32, 3, dtype=torch.uint8).to(gpu.device)
    gpu.waits.clear()
    augment(pixels, Recipe(random=9), 32, torch.Generator())
    assert gpu.waits


# --- steps ---------------------------------------------------------------------------------------


def step(gpu: PretendedDevice, arch: str, **options: Any) -> None:
    """A step of a training in which nothing may wait."""
    asked = {"precision": "bf16", "lr": 0.1, **options}
    config = resolve_defaults(TrainConfig.of(arch=arch, epochs=2, **asked))
    network = create_network(ModelConfig(arch, pretrained=False), 5, 0)
    module = network.classifier.to(memory_format=torch.channels_last).to(gpu.device)
    state = new_state(module, config.optim)
    set_train_mode(module, config.model, 1)
    view = network.preprocess
    images = torch.rand(8, view.channels, view.size, view.size, device=gpu.device)
    labels = torch.zeros(8, dtype=torch.long, device=gpu.device)
    weights = torch.ones(5, device=gpu.device)
    with gpu.no_waiting():
        loss, logits = backward(state, config.optim, images, labels, weights)
        assert {loss.device.type, logits.device.type} == {gpu.device.type}
        assert all(weight.grad is not None for weight in module.parameters())
        set_rate(state.optimizer, 0.1)
        optimizer_step(state, config.optim)


@pytest.mark.parametrize(
    "arch", ["cifar-fast", "mnist-best", "test_vit", "test_resnet", "test_convnext"]
)
def test_a_step_of_each_family_waits_for_nothing(gpu: PretendedDevice, arch: str) -> None:
    step(gpu, arch)


def test_a_step_needs_no_float64_where_the_device_has_none(
    gpu: PretendedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert widest(torch.device("mps")) == torch.float32
    monkeypatch.setattr("imgcli.training.training_loop.widest", lambda device: torch.float32)
    gpu.doubles = False
    step(gpu, TINY, clip_norm=1.0, l1=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"ema": 0.9},
        {"l1": 0.1},
        {"clip_norm": 1.0},
        {"balance": "loss"},
        {"label_smoothing": 0.1},
        {"layer_decay": 0.8},
    ],
    ids=str,
)
def test_no_option_makes_a_step_wait(gpu: PretendedDevice, options: dict[str, Any]) -> None:
    step(gpu, TINY, **options)


def test_the_optimizers_whose_steps_wait_are_known(gpu: PretendedDevice) -> None:
    waiting = []
    for name in optimizers():
        module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Linear(2, 2)).to(gpu.device)
        config = resolve_defaults(CONFIG.with_(optimizer=name)).optim
        state = new_state(module, config)
        for weight in module.parameters():
            weight.grad = torch.rand_like(weight)
        try:
            with gpu.no_waiting():
                optimizer_step(state, config)
        except Waited:
            waiting.append(name)
    assert tuple(sorted(waiting)) == WAITING_OPTIMIZERS


class _One:
    """A team of one process."""

    rank, size = 0, 1

    def sum(self, values: Tensor) -> Tensor:
        return values


def test_batch_norm_by_a_whole_batch_waits_for_nothing(gpu: PretendedDevice) -> None:
    norm = nn.BatchNorm2d(3).to(gpu.device)
    images = torch.rand(4, 3, 8, 8, device=gpu.device)
    with gpu.no_waiting(), SharedBatchNorm(_One(), 4):  # type: ignore[arg-type]
        assert norm(images).device == images.device


class Plant(nn.Module):
    """A layer with a mistake in it."""

    def __init__(self, mistake: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.mistake = mistake

    def forward(self, values: Tensor) -> Tensor:
        self.mistake(values)
        return values


@pytest.mark.parametrize(
    "mistake",
    [
        lambda values: values.sum().item(),
        lambda values: values.cpu(),
        lambda values: values.detach().tolist(),
        lambda values: bool(values.max() > 0),
        lambda values: values[values > 0],
        lambda values: values.nonzero(),
        lambda values: values[torch.tensor([0])],
        lambda values: values + torch.zeros(3, 1, 1).to(values.device),
        lambda values: values.new_tensor([1.0]),
    ],
)
def test_a_planted_wait_is_found(gpu: PretendedDevice, mistake: Callable[[Tensor], object]) -> None:
    images = torch.rand(2, 3, 8, 8, device=gpu.device)
    with pytest.raises(Waited), gpu.no_waiting():
        Plant(mistake)(images)


def test_a_planted_tensor_of_another_device_is_found(gpu: PretendedDevice) -> None:
    with pytest.raises(RuntimeError, match="same device"):
        torch.rand(2, 3, device=gpu.device) + torch.zeros(2, 3)


# --- whole commands ------------------------------------------------------------------------------


def waits_of(gpu: PretendedDevice, config: TrainConfig) -> int:
    gpu.waits.clear()
    train_run(config, DATA, RUNS, gpu.device.type)
    return len(gpu.waits)


@pytest.mark.parametrize(
    "options",
    [{"augment": "strong", "mixup": 0.2}, {"balance": "sample", "val_share": 0.3}],
    ids=str,
)
def test_a_training_waits_no_more_for_more_steps(
    here: Path, gpu: PretendedDevice, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    config = CONFIG.with_(epochs=1, **options)
    few = waits_of(gpu, config)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (1000, 1000))  # none resident
    assert waits_of(gpu, config.with_(batch_size=3)) == few > 0


def test_a_learning_rate_is_found_with_few_waits(gpu: PretendedDevice) -> None:
    config = resolve_defaults(CONFIG)
    module = create_network(config.model, 3, 0).classifier.to(gpu.device)
    targets = torch.zeros(12, dtype=torch.long).to(gpu.device)
    gpu.waits.clear()
    find_rate(module, _Drawn(gpu.device), targets, config, np.arange(12))
    assert len(gpu.waits) == 12, gpu.waits  # ten losses each time, classes, weights


def test_predictions_scores_and_folds_come_from_the_device(
    here: Path, gpu: PretendedDevice
) -> None:
    run = train_run(CONFIG, DATA, RUNS, "cpu").run
    predicted = predict_photos([run], new_photos(DATA / "test"), "cuda")
    assert len(predicted.paths) == len(score_test(run, None, "cuda").predictions.indices) == 12
    assert len(score_folds(run, None, "train", 2, device="cuda").predictions.indices) == 36


def test_mirrored_evaluation_waits_for_nothing(gpu: PretendedDevice) -> None:
    module = create_network(ModelConfig(TINY, image_size=16), 3, 0).classifier.to(gpu.device)
    inputs = _Drawn(gpu.device)
    inputs.views = AveragedViews(flip=True, shift=1)
    with gpu.no_waiting():
        assert logits_of(module, inputs, np.arange(300), "bf16").shape == (300, 3)


def test_a_frozen_network_and_its_explanations_come_from_the_device(
    here: Path, gpu: PretendedDevice
) -> None:
    frozen = TrainConfig.of(
        arch="test_vit", freeze=True, pretrained=False, image_size=160, epochs=1, weight_decay=0.1
    )
    run = train_run(frozen, DATA, RUNS, "cuda").run
    photos = new_photos(next((DATA / "test").glob("*/*")))
    _, explained, rejected = explain_photos(run, photos, neighbours=2, device_name="cuda")
    assert len(explained) == 1 and not rejected
    assert len(explained[0].nearest) == 2


# --- memory --------------------------------------------------------------------------------------


class _Drawn:
    """Inputs that are drawn: a dataset without photos."""

    views = ONE_VIEW

    def __init__(self, device: torch.device, spare: int = 0, fails: int = 0) -> None:
        self.device, self.spare, self.fails = device, spare, fails

    def readable(self) -> Any:
        raise NotImplementedError

    def batch(self, rows: IntArray) -> Tensor:
        return torch.zeros(len(rows), 3, 16, 16, device=self.device)

    def train_batch(
        self, rows: IntArray, generator: torch.Generator, *_: object, **__: object
    ) -> Tensor:
        drawn = torch.rand(len(rows), 3, 16, 16, generator=generator)
        if self.fails > 0:
            self.fails -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return to_device(drawn, self.device)

    def make_room(self) -> bool:
        self.spare -= 1
        return self.spare >= 0


def test_a_batch_that_does_not_fit_takes_the_photos_off_the_device_first() -> None:
    cpu = torch.device("cpu")
    rows = np.arange(4)
    expected = prepared(_Drawn(cpu), rows, torch.Generator().manual_seed(1))
    tight = prepared(_Drawn(cpu, spare=2, fails=2), rows, torch.Generator().manual_seed(1))
    torch.testing.assert_close(tight, expected, rtol=0, atol=0)
    with pytest.raises(ModelError, match="not enough memory to prepare 4 photos at once"):
        prepared(_Drawn(cpu, spare=1, fails=3), rows, torch.Generator())


def test_room_is_made_before_a_batch_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    config = resolve_defaults(CONFIG.with_(precision="fp32"))
    module = create_network(config.model, 3, 0).classifier
    whole, calls = copy.deepcopy(module), []
    images, labels = torch.rand(8, 3, 16, 16), torch.arange(8) % 3
    state = new_state(whole, config.optim)
    set_train_mode(whole, config.model, 1)
    expected = backward(state, config.optim, images, labels, torch.ones(3))[0]
    linear = nn.Linear.forward

    def full_once(self: nn.Linear, values: Tensor) -> Tensor:
        calls.append(len(values))
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return linear(self, values)

    monkeypatch.setattr(nn.Linear, "forward", full_once)
    set_train_mode(module, config.model, 1)
    tight = new_state(module, config.optim)
    found = backward(
        tight, config.optim, images, labels, torch.ones(3), make_room=lambda: len(calls) == 1
    )[0]
    assert tight.micro_batches == 1 and found == expected


def test_what_training_reads_gets_its_room_first(
    here: Path, gpu: PretendedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def room(self: Any, pixels: Any, device: torch.device) -> Any:
        seen.append(pixels.store.shape[0])
        return real(pixels, device)

    from imgcli.training.inputs import DevicePixels

    real = DevicePixels.of
    monkeypatch.setattr(DevicePixels, "of", classmethod(room))
    waits_of(gpu, CONFIG.with_(augment="photo", epochs=1))
    assert seen == [20, 16]


def test_photos_leave_the_device_those_of_evaluation_first(
    here: Path, gpu: PretendedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[PixelInputs] = []
    real = PixelInputs.of.__func__  # type: ignore[attr-defined]

    def keep(cls: Any, *args: Any) -> PixelInputs:
        made.append(real(cls, *args))
        return made[-1]

    monkeypatch.setattr(PixelInputs, "of", classmethod(keep))
    waits_of(gpu, CONFIG.with_(augment="photo", epochs=1))
    (inputs,) = made
    assert inputs.source.resident is not None and inputs.own.resident is not None
    assert inputs.make_room() and inputs.own.resident is None
    assert inputs.source.resident is not None
    assert inputs.make_room() and not inputs.make_room()
    assert inputs.batch(np.arange(3)).device.type == "cuda"
