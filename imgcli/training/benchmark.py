"""The speed of this machine: photos per second of each stage, and how long a training takes."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from imgcli.compute.local import cores
from imgcli.config import ModelConfig, TrainConfig
from imgcli.errors import DataError
from imgcli.locations import Location
from imgcli.models.create import create_network
from imgcli.models.folding import fuse_for_inference
from imgcli.models.memory import within_memory
from imgcli.models.network import Network
from imgcli.photos.layout import new_photos
from imgcli.photos.views import decode_files
from imgcli.records import Preprocess, Rejected
from imgcli.training.device import autocast, choose_device, forward, wait_for
from imgcli.training.precision import choose_precision, has_bf16
from imgcli.training.probe.heads import joined
from imgcli.training.probe.logistic import SoftmaxRegression
from imgcli.training.probe.selection import L2_PENALTIES, select_l2
from imgcli.training.resolve_defaults import resolve_defaults

DECODED = 256  # photos, at most, that decoding is measured on
_MIN_SECONDS = 0.3  # of a measured batch
_MAX_BATCH = 256  # photos
_HEAD_ROWS = 400  # rows of the heads that are measured


@dataclass(frozen=True)
class Speeds:
    """Photos per second, by precision where there is a choice; and the rest of an estimate."""

    arch: str
    photos: int
    size: int  # pixels, of the network's input
    device: str
    cores: int
    decode: float
    look: dict[str, float]  # inference
    learn: dict[str, float]  # training; empty for a frozen backbone
    heads: float | None  # rows per second of ten heads, their L2 penalty chosen
    epochs: int  # of a training; 1 for a frozen backbone
    precision: str  # that a training here would choose

    def seconds(self, folds: int) -> dict[str, float]:
        """How long error estimation by so many folds will take, by stage, nothing being cached."""
        stages = {"decode": self.photos / self.decode}
        if self.heads is not None:
            stages["look"] = self.photos / self.look[self.precision]
            stages["heads"] = self.photos / self.heads * folds / 10
        else:
            trained = self.photos * (folds - 1) * self.epochs
            evaluated = self.photos * folds
            stages["learn"] = trained / self.learn[self.precision]
            stages["judge"] = evaluated / self.look[self.precision]
        return stages


@within_memory()
def measure_speeds(config: TrainConfig, folder: Path, device_name: str) -> Speeds:
    """Measure each stage of a training by the config on some of the photos in a folder.

    The network's weights are random: they take as long as trained ones.

    Raises:
        DataError: no photo in the folder, or none that can be read.
    """
    photos = new_photos(folder)
    names = photos.names
    locations = [one for one in photos.contents() if not isinstance(one, bytes | Rejected)]
    classes = max(2, len({Path(name).parent.name for name in names}))
    device = choose_device(device_name)
    model = ModelConfig(
        config.model.arch,
        model_args=config.model.model_args,
        image_size=config.model.image_size,
        fit=config.model.fit,
        pretrained=False,
    )
    network = create_network(model, classes)
    decode = _decoding(locations[:: max(1, len(names) // DECODED)], network, folder)
    look, learn = {}, {}
    for precision in ("fp32", "bf16") if has_bf16(device) else ("fp32",):
        look[precision] = inference_rate(network, config.model.frozen, device, precision)
        if not config.model.frozen:
            learn[precision] = _training_rate(network, device, precision)
    features = network.classifier.head.in_features
    return Speeds(
        config.model.arch,
        len(names),
        network.preprocess.size,
        torch.cuda.get_device_name() if device.type == "cuda" else device.type,
        cores(),
        decode,
        look,
        learn,
        _heads(features, classes, device) if config.model.frozen else None,
        1 if config.model.frozen else resolve_defaults(config).optim.epochs or 1,
        choose_precision("auto", device, network, frozen=config.model.frozen),
    )


def _decoding(photos: list[Location], network: Network, folder: Path) -> float:
    start = time.perf_counter()
    blocks = decode_files(photos, network.preprocess)
    read = sum(len(block.indices) for block in blocks)
    if not read:
        raise DataError(f"'{folder}' holds no photo that can be read. Name a folder of photos.")
    return read / (time.perf_counter() - start)


def inference_rate(network: Network, frozen: bool, device: torch.device, precision: str) -> float:
    """Photos per second of a whole network, decoded and on the device already.

    Args:
        frozen: as a frozen backbone runs, its layers fused.
    """
    module = copy.deepcopy(network.classifier).eval()
    if frozen:
        module.backbone = fuse_for_inference(
            network.classifier.backbone, network.preprocess, device
        )
    module.to(device).to(memory_format=torch.channels_last)

    def step(images: torch.Tensor) -> None:
        forward(module, images, precision).cpu()

    return _rate(step, network.preprocess, device)


def _training_rate(network: Network, device: torch.device, precision: str) -> float:
    module = copy.deepcopy(network.classifier).to(device).to(memory_format=torch.channels_last)
    module.train()

    def step(images: torch.Tensor) -> None:
        with autocast(device, precision):
            logits = module(images)
        logits.float().square().sum().backward()
        module.zero_grad()
        wait_for(device)

    return _rate(step, network.preprocess, device)


def _rate(
    step: Callable[[torch.Tensor], None], preprocess: Preprocess, device: torch.device
) -> float:
    """Images per second of the better of two batches, of a size that takes long enough to tell."""
    size = preprocess.size
    images = torch.randn(4, preprocess.channels, size, size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    step(images)
    seconds = _seconds(lambda: step(images))
    batch: int = min(
        _MAX_BATCH, max(4, 2 ** math.ceil(math.log2(max(4 * _MIN_SECONDS / seconds, 1))))
    )
    images = images.repeat(batch // 4, 1, 1, 1).contiguous(memory_format=torch.channels_last)
    step(images)
    return batch / min(_seconds(lambda: step(images)) for _ in range(2))


def _heads(features: int, classes: int, device: torch.device) -> float:
    """Rows per second of ten heads, their L2 penalties chosen, on features that overlap."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(_HEAD_ROWS) % classes
    centres = torch.randn(classes, features, generator=generator)
    noise = torch.randn(_HEAD_ROWS, features, generator=generator)
    rows, labels = (centres[targets] + 3 * noise).to(device), targets.to(device)
    place = torch.arange(_HEAD_ROWS, device=device)
    problems = []
    for fold in range(10):
        train = place % 10 != fold
        inner = [train & (place // 10 % 3 == i) for i in range(3)]
        problems.append([(train & ~held, held) for held in inner])
    regression = SoftmaxRegression(rows, labels, classes)

    def fit() -> None:
        choices = select_l2(regression, problems)
        masks = torch.stack([place % 10 != fold for fold in range(10)])
        l2_penalties = rows.new_tensor([choice.l2_penalty for choice in choices])
        regression.solve(masks, l2_penalties, start=joined([choice.head for choice in choices]))

    every = torch.ones_like(place, dtype=torch.bool)[None]
    regression.solve(every, rows.new_tensor(L2_PENALTIES[:1]))
    return _HEAD_ROWS / _seconds(fit)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
