"""The speed of this machine: photos per second of each stage, and how long a training takes."""

import copy
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch
from PIL import features as pillow

from imgcli.compute.load import Meter, Turn
from imgcli.compute.local import cores
from imgcli.config import ModelConfig, TrainConfig
from imgcli.errors import DataError
from imgcli.locations import Location
from imgcli.models.create import create_network
from imgcli.models.describe import work_of
from imgcli.models.fused_graph import LAYERS, CannotFuse, choose_engine
from imgcli.models.memory import within_memory
from imgcli.models.network import Network
from imgcli.photos.jpeg import HAS_SIMPLEJPEG
from imgcli.photos.layout import new_photos
from imgcli.photos.views import decode_files
from imgcli.records import AveragedViews, Preprocess, Rejected
from imgcli.training.device import autocast, choose_device, forward, wait_for
from imgcli.training.features import for_extraction
from imgcli.training.peak import peak
from imgcli.training.precision import choose_precision, has_bf16
from imgcli.training.probe.heads import joined
from imgcli.training.probe.logistic import SoftmaxRegression
from imgcli.training.probe.selection import L2_PENALTIES, select_l2
from imgcli.training.resolve_defaults import resolve_defaults

DECODED = 256  # photos, at most, that decoding is measured on at a time
REPEATS = 5  # of a network's batches
_PASSES = 3  # of decoding, on other photos each time, and of the heads
MIN_SECONDS = 0.3  # of a measured batch
_MAX_SECONDS = 10.0  # of a stage, after which it is not repeated
_MAX_BATCH = 256  # photos
_HEAD_ROWS = 400  # rows of the heads that are measured
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

# What a command takes beyond its stages, at most: see `Speeds.expected`.
START = 10.0  # seconds
SLOWER = 1.3

Step = Callable[[torch.Tensor], object]  # does something with images (N, C, H, W)


@dataclass(frozen=True)
class Rate:
    """Photos per second, measured n times."""

    n: int
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, amount: int, seconds: list[float]) -> "Rate":
        rates = [amount / one for one in seconds]
        return cls(len(rates), median(rates), min(rates), max(rates))


@dataclass(frozen=True)
class Speeds:
    """What was measured of each stage, and the rest of an estimate."""

    arch: str
    photos: int
    size: int  # pixels, of the network's input
    device: str
    cores: int
    decoding: Rate
    inference: Mapping[str, Rate]  # by precision, where there is a choice
    training: Mapping[str, Rate]  # empty for a frozen backbone
    fitting: Rate | None  # rows per second of ten heads, their L2 penalty chosen
    plain: Rate | None  # inference as `peer` describes it; None where all weights are trained
    peer: str | None
    epochs: int  # of a training; 1 for a frozen backbone
    precision: str  # that a training here would choose
    macs: int  # multiply-adds of the network per photo
    peaks: Mapping[str, float]  # operations per second that the device reaches, by precision
    engine: str | None  # that extracts the features of a frozen backbone in that precision
    library: str  # what computes
    decoder: str
    machine: Turn  # meanwhile

    @property
    def busy(self) -> bool:
        """Whether other programs had so much of the machine that the rates are too low."""
        return self.machine.disturbed

    def share(self, precision: str) -> float:
        """The share of the device's peak at which inference runs."""
        return 2 * self.macs * self.inference[precision].median / self.peaks[precision]

    def seconds(self, folds: int) -> dict[str, float]:
        """How long error estimation by so many folds will take, by stage, nothing being cached."""
        return self._seconds(folds, lambda rate: rate.median)

    def expected(self, folds: int) -> tuple[float, float]:
        """The least and the most seconds that to expect is reasonable, all stages together.

        The rates vary by what was seen; beyond them, the command has to start, reads and hashes
        its files, and writes what it finds.
        """
        fast = self._seconds(folds, lambda rate: rate.high)
        slow = self._seconds(folds, lambda rate: rate.low)
        return sum(fast.values()), SLOWER * sum(slow.values()) + START

    def _seconds(self, folds: int, rate: Callable[[Rate], float]) -> dict[str, float]:
        stages = {"decode": self.photos / rate(self.decoding)}
        if self.fitting is not None:
            stages["look"] = self.photos / rate(self.inference[self.precision])
            stages["heads"] = self.photos / rate(self.fitting) * folds / 10
        else:
            trained = self.photos * (folds - 1) * self.epochs
            evaluated = self.photos * folds
            stages["learn"] = trained / rate(self.training[self.precision])
            stages["judge"] = evaluated / rate(self.inference[self.precision])
        return stages

    def to_json(self) -> dict[str, Any]:
        """The JSON contract: medians under a stage's name, and how they vary under `rates`."""
        rates: dict[str, Rate] = {"decode": self.decoding}
        rates |= {f"look_{precision}": rate for precision, rate in self.inference.items()}
        rates |= {f"learn_{precision}": rate for precision, rate in self.training.items()}
        rates |= {"heads": self.fitting} if self.fitting else {}
        rates |= {"peer": self.plain} if self.plain else {}
        return {
            "arch": self.arch,
            "photos": self.photos,
            "size": self.size,
            "device": self.device,
            "cores": self.cores,
            "decode": self.decoding.median,
            "look": {precision: rate.median for precision, rate in self.inference.items()},
            "learn": {precision: rate.median for precision, rate in self.training.items()},
            "heads": self.fitting and self.fitting.median,
            "epochs": self.epochs,
            "precision": self.precision,
            "rates": {name: asdict(rate) for name, rate in rates.items()},
            "peer": self.peer,
            "engine": self.engine,
            "library": self.library,
            "decoder": self.decoder,
            "gflops_per_photo": 2 * self.macs / 1e9,
            "peak_gflops": {name: rate / 1e9 for name, rate in self.peaks.items()},
            "share_of_peak": {name: self.share(name) for name in self.inference},
            "load": {
                "average": os.getloadavg()[0],
                "others": self.machine.others,
                "busy": self.busy,
            },
        }


@within_memory()
def measure_speeds(config: TrainConfig, folder: Path, device_name: str) -> Speeds:
    """Measure each stage of a training by the config on some of the photos in a folder.

    The network's weights are random: they take as long as trained ones.

    Raises:
        DataError: no photo in the folder, or none that can be read.
    """
    meter = Meter()
    photos = new_photos(folder)
    names = photos.names
    locations = [one for one in photos.contents() if not isinstance(one, bytes | Rejected)]
    classes = max(2, len({Path(name).parent.name for name in names}))
    device = choose_device(device_name)
    frozen = config.model.frozen
    resolved = config if frozen else resolve_defaults(config)
    model = ModelConfig(
        config.model.arch,
        model_args=config.model.model_args,
        image_size=config.model.image_size,
        fit=config.model.fit,
        pretrained=False,
        test_flip=resolved.model.test_flip,
    )
    network = create_network(model, classes)
    decoding = _decoding(locations, network, folder)
    precisions = ("fp32", "bf16") if has_bf16(device) else ("fp32",)
    chosen = choose_precision("auto", device, network, frozen=frozen)
    macs = work_of(network).macs
    steps: dict[str, Step] = {}
    engines: dict[str, str] = {}
    for precision in precisions:
        if frozen:
            steps[precision], engines[precision] = _extraction(network, device, precision)
        else:
            steps[precision] = _plain(network, device, precision)
    if frozen:
        steps["peer"] = _plain(network, device, precisions[-1])
    inference = _rates(steps, network.preprocess, device)
    plain = inference.pop("peer", None)
    training: dict[str, Rate] = {}
    if not frozen:
        steps = {precision: _training(network, device, precision) for precision in precisions}
        training = _rates(steps, network.preprocess, device)
    features = network.classifier.head.in_features
    return Speeds(
        config.model.arch,
        len(names),
        network.preprocess.size,
        torch.cuda.get_device_name() if device.type == "cuda" else device.type,
        cores(),
        decoding,
        inference,
        training,
        _heads(features, classes, device) if frozen else None,
        plain,
        f"plain PyTorch: eager, channels_last, {precisions[-1]}" if plain else None,
        1 if frozen else resolved.optim.epochs or 1,
        chosen,
        macs,
        {precision: peak(device, _DTYPES[precision]) for precision in precisions},
        engines.get(chosen),
        f"PyTorch {version('torch')}",
        decoder(),
        meter.read(),
    )


def decoder() -> str:
    """What makes pixels of most files here, and what of the others."""
    turbo = pillow.version_feature("libjpeg_turbo")
    others = f"Pillow {version('pillow')}" + (f" with libjpeg-turbo {turbo}" if turbo else "")
    return f"simplejpeg {version('simplejpeg')}, and by {others}" if HAS_SIMPLEJPEG else others


def _decoding(photos: list[Location], network: Network, folder: Path) -> Rate:
    """Photos per second on several sets of evenly spaced photos, none of them read twice."""
    step = max(1, len(photos) // (_PASSES * DECODED))
    rates = []
    for i in range(min(_PASSES, len(photos))):
        some = photos[i * step :: _PASSES * step][:DECODED]
        start = time.perf_counter()
        read = sum(len(block.indices) for block in decode_files(some, network.preprocess))
        rates.append(read / (time.perf_counter() - start))
    rates = [rate for rate in rates if rate]
    if not rates:
        raise DataError(f"'{folder}' holds no photo that can be read. Name a folder of photos.")
    return Rate.of(1, [1 / rate for rate in rates])


def extraction_rate(network: Network, device: torch.device, precision: str) -> tuple[float, str]:
    """Photos per second of a network with a frozen backbone, and the engine of its backbone.

    The photos are decoded and on the device already.
    """
    step, engine = _extraction(network, device, precision)
    rates = _rates({precision: step}, network.preprocess, device, repeats=2)
    return rates[precision].high, engine


def _extraction(network: Network, device: torch.device, precision: str) -> tuple[Step, str]:
    """What imgcli does with each batch for a frozen backbone, and the engine that does it."""
    view, backbone = network.preprocess, network.classifier.backbone
    head = copy.deepcopy(network.classifier.head).to(device)

    def by(engine: str) -> Step:
        extract = for_extraction(backbone, view, device, precision, engine)

        def module(images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = head(extract(images))
            return logits

        return partial(_logits, module, precision, view.test_views)

    engine = choose_engine(backbone, device)
    step = by(engine)
    try:
        step(_images(view, device))
    except CannotFuse:
        return by(LAYERS), LAYERS
    return step, engine


def _plain(network: Network, device: torch.device, precision: str) -> Step:
    """What a good loop of PyTorch does with each batch, its layers as they come."""
    module = copy.deepcopy(network.classifier).eval()
    module.to(device).to(memory_format=torch.channels_last)
    return partial(_logits, module, precision, network.preprocess.test_views)


def _logits(
    module: Callable[[torch.Tensor], torch.Tensor],
    precision: str,
    views: AveragedViews,
    images: torch.Tensor,
) -> torch.Tensor:
    return forward(module, images, precision, views).cpu()


def _training(network: Network, device: torch.device, precision: str) -> Step:
    module = copy.deepcopy(network.classifier).to(device).to(memory_format=torch.channels_last)
    module.train()

    def step(images: torch.Tensor) -> None:
        with autocast(device, precision):
            logits = module(images)
        logits.float().square().sum().backward()
        module.zero_grad()
        wait_for(device)

    return step


def _rates(
    steps: Mapping[str, Step], preprocess: Preprocess, device: torch.device, repeats: int = REPEATS
) -> dict[str, Rate]:
    """Images per second of each step, all in turn, the order reversed from round to round."""
    batches = {name: _batch(step, preprocess, device) for name, step in steps.items()}
    works = {name: partial(step, batches[name]) for name, step in steps.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in _repeats(repeats):
        for name in list(works)[:: 1 if number % 2 == 0 else -1]:
            seconds[name].append(_seconds(works[name]))
    return {name: Rate.of(len(batches[name]), took) for name, took in seconds.items()}


def _repeats(most: int) -> Iterator[int]:
    """0, 1 and so on, until it takes too long; 0 and 1 at least."""
    start = time.perf_counter()
    for number in range(most):
        if number >= 2 and time.perf_counter() - start > _MAX_SECONDS:
            return
        yield number


def _batch(step: Step, preprocess: Preprocess, device: torch.device) -> torch.Tensor:
    """Random images, so many that a step with them takes long enough to be measured."""
    images = _images(preprocess, device)
    step(images)
    seconds = _seconds(lambda: step(images))
    batch: int = min(
        _MAX_BATCH, max(4, 2 ** math.ceil(math.log2(max(4 * MIN_SECONDS / seconds, 1))))
    )
    images = images.repeat(batch // 4, 1, 1, 1).contiguous(memory_format=torch.channels_last)
    step(images)
    return images


def _images(preprocess: Preprocess, device: torch.device) -> torch.Tensor:
    """A few random images (4, C, S, S)."""
    images = torch.randn(4, preprocess.channels, preprocess.size, preprocess.size, device=device)
    return images.contiguous(memory_format=torch.channels_last)


def _heads(features: int, classes: int, device: torch.device) -> Rate:
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
    return Rate.of(_HEAD_ROWS, [_seconds(fit) for _ in _repeats(_PASSES)])


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
