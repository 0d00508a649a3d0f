"""Frozen features: imgcli's one look at each photo beside PyTorch as it comes, and OpenVINO.

Of one core: `OMP_NUM_THREADS=1 taskset -c 0 python -m tests.benchmarks.features`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from imgcli.config import TrainConfig
from imgcli.models.memory import Batches
from imgcli.photos.split import split_folder
from imgcli.photos.views import load_pixels
from imgcli.records import Samples
from imgcli.training.context import TrainingContext, make_context
from imgcli.training.device import BATCH, choose_device, forward
from imgcli.training.features import BATCHES, for_extraction, frozen_features
from imgcli.training.inputs import DevicePixels
from imgcli.training.precision import has_bf16
from tests.benchmarks import peaks
from tests.benchmarks.pixels import as_inputs
from tests.benchmarks.script import Setting, main
from tests.benchmarks.timing import Contender, Costs, Goal, Result, alternate, repeat

# How many times as fast as the plain peer imgcli is to be; on a GPU that is timm's benchmark.
CPU_GOALS = {
    "resnet101": 8.0,
    "mobilenetv2_100": None,
    "vit_small_patch16_224": None,
    "convnext_tiny": None,
}
GPU_GOALS = {"resnet101": 2.5, "mobilenetv2_100": None}
PLAIN = "plain PyTorch eager, fp32"
BENCHMARK = "timm's benchmark: amp, channels_last, eager"
OPENVINO = "OpenVINO, batches of 4"
AT_ONCE = 4  # photos, which OpenVINO was quickest with, of 1, 2, 4 and 16
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

Forward = Callable[[Tensor], Tensor]


class Peaks(NamedTuple):
    """What the machine was seen to do at most, per second."""

    operations: Mapping[str, float]  # floating-point, by precision, in products or convolutions
    moved: float  # bytes


def measure(setting: Setting) -> Iterator[Result]:
    device = choose_device(setting.device)
    gpu = device.type == "cuda"
    photos = (
        setting.material.photos(32, classes=4)
        if setting.quick
        else setting.material.photos(2048 if gpu else 128)
    )
    with chdir(setting.work):
        split_folder(photos.root, duplicates="off")
    best = {name: 0.0 for name in DTYPES}
    for name, dtype in DTYPES.items():
        for what, rate in (
            ("matrix product", peaks.gemm(device, dtype)),
            ("convolution 3 × 3", peaks.convolution(device, dtype)),
        ):
            best[name] = max(best[name], rate)
            yield _rate(f"{name} {what}, the machine's peak", rate, "FLOP/s")
    limits = Peaks(best, peaks.bandwidth(device))
    yield _rate("copy, read and written, the machine's peak", limits.moved, "B/s")
    for arch, goal in (GPU_GOALS if gpu else CPU_GOALS).items():
        yield from frozen(arch, goal, limits, device, setting)


def _rate(work: str, rate: float, unit: str) -> Result:
    return Result(work, (1.0,), unit=f"G{unit}", amount=rate / 1e9)


def frozen(
    arch: str, goal: float | None, limits: Peaks, device: torch.device, setting: Setting
) -> Iterator[Result]:
    """All photos through one backbone with random weights, decoded beforehand for everyone.

    Peers get them as normalised tensors too; imgcli reads its store and makes its own. What is done
    once, whatever the number of photos, does not count for anyone: loading, folding, compiling.
    """
    with chdir(setting.work):
        config = TrainConfig.of(arch=arch, freeze=True, pretrained=False)
        task = make_context(config, Path("dataset"), str(device))
        view, samples = task.network.preprocess, task.dataset.samples
        (pixels,) = load_pixels(samples, [view])
        cached = Path(".imgcli/cache/pixels").absolute()
    precision, n = task.config.optim.precision, len(samples)
    inputs = as_inputs(DevicePixels(pixels, device), view)  # streamed, as when looking
    images = inputs.batch(np.arange(n))
    batches = torch.tensor_split(images, -(-n // (256 if device.type == "cuda" else BATCH)))
    looked: dict[str, Tensor] = {}
    backbone, engine = task.network.classifier.backbone, str(task.engine)
    module = for_extraction(backbone, view, device, precision, engine)
    look = Batches(lambda some: forward(module, inputs.batch(some), precision, view.test_views))

    def ours(folder: Path) -> None:
        size = BATCHES.get(device.type, BATCH)
        rows = [np.arange(n)[start : start + size] for start in range(0, n, size)]
        looked["imgcli"] = torch.cat([look(some) for some in rows]).cpu()

    def one(folder: Path) -> None:
        (folder / "pixels").symlink_to(cached)
        frozen_features(task.network, _first(samples), device, precision, folder)

    def by(name: str, forward: Forward) -> Contender:
        def look(folder: Path) -> None:
            looked[name] = torch.cat([forward(batch) for batch in batches]).cpu()

        return look

    peers, failed = variants(task, batches, device)
    contenders = {"imgcli": ours, **{name: by(name, forward) for name, forward in peers.items()}}
    seconds = alternate(contenders, setting.rounds(3), setting.work)
    first = BENCHMARK if device.type == "cuda" else PLAIN
    others = {name: took for name, took in seconds.items() if name not in ("imgcli", first)}
    best = min(others, key=lambda name: fmean(others[name]))
    speeds = "; ".join(f"{name} {n / fmean(took):.1f}" for name, took in seconds.items())
    difference = _apart(looked["imgcli"], looked[PLAIN])

    work = f"frozen features, {arch} (random weights), {n:,} photos at {images.shape[-1]}"
    result = _against(first, seconds, n, Goal("faster", goal) if goal else None)
    chose = f"imgcli chose {precision} by {engine}"
    yield result(work, f"{chose}; {difference:.2g} apart from fp32, relatively")
    if OPENVINO in seconds:
        result = _against(OPENVINO, seconds, n, Goal("faster", 1.0))
        apart = _apart(looked["imgcli"], looked[OPENVINO])
        yield result(f"{work}, OpenVINO", f"{apart:.2g} apart from it, relatively")
    result = _against(best, seconds, n, Goal("faster", 1.0))
    yield result(f"{work}, the best by hand", f"photos/s of all: {speeds}{failed}")
    yield from shares(work, task, seconds["imgcli"], limits, batches[0][:1])
    yield Result(
        f"frozen features, {arch}: what the first photo costs",
        repeat(one, setting.rounds(3), setting.work),
        note="hashing the weights, folding, opening the stores: once per command",
    )


def _first(samples: Samples) -> Samples:
    """The first photo alone."""
    return Samples(
        samples.root,
        samples.paths[:1],
        samples.targets[:1],
        samples.groups[:1],
        samples.digests[:1],
        samples.classes,
    )


def _against(
    peer: str, seconds: Mapping[str, Costs], n: int, goal: Goal | None
) -> Callable[[str, str], Result]:
    def result(work: str, note: str) -> Result:
        return Result(work, seconds["imgcli"], seconds[peer], peer, "photos/s", n, goal, note)

    return result


def shares(
    work: str, task: TrainingContext, ours: Costs, limits: Peaks, image: Tensor
) -> Iterator[Result]:
    """How near imgcli comes to what the machine's arithmetic and its memory allow."""
    n, precision = len(task.dataset.samples), task.config.optim.precision
    backbone = task.network.classifier.backbone.to(image.device).eval()
    computing = n * peaks.operations(backbone, image) / limits.operations[precision]
    moving = n * peaks.traffic(backbone, image, DTYPES[precision].itemsize) / limits.moved
    for limit, least in (("arithmetic", computing), ("memory", moving)):
        peer = f"were {limit} at its peak the only limit"
        yield Result(f"{work}, share of {limit}", ours, (least,), peer, "photos/s", n)


def variants(
    task: TrainingContext, batches: tuple[Tensor, ...], device: torch.device
) -> tuple[dict[str, Forward], str]:
    """The same backbone with the same weights, run as people run it; and what does not run here."""
    plans: dict[str, tuple[torch.dtype | None, bool, bool]] = {
        PLAIN: (None, False, False),
        "channels_last + autocast bf16": (torch.bfloat16, True, False),
        "compile + freezing + channels_last + autocast bf16": (torch.bfloat16, True, True),
    }
    if device.type == "cuda":
        plans[BENCHMARK] = (torch.float16, True, False)
    found, failed = {}, ""
    for name, (dtype, channels_last, compiled) in plans.items():
        network = _fresh(task).to(device).eval()
        forward = _forward(network, device, dtype, channels_last, compiled)
        try:
            for batch in (batches[0], batches[-1]):
                forward(batch)
        except Exception as error:  # no compiler here, or one that cannot
            failed += f"; {name} failed: {type(error).__name__}"
        else:
            found[name] = forward
    if device.type == "cpu":
        try:
            found[OPENVINO] = openvino(_fresh(task).eval(), batches[0][:1])
        except ImportError:
            failed += "; OpenVINO is not installed"
    return found, failed


def openvino(network: nn.Module, image: Tensor) -> Forward:
    """OpenVINO as it was quickest: a fixed shape, bf16 where there is any, a stream per thread."""
    import openvino as ov

    threads, computed = torch.get_num_threads(), "bf16" if has_bf16(image.device) else "f32"
    with torch.no_grad():
        model = ov.convert_model(network, example_input=image.contiguous())
    model.reshape([AT_ONCE, *image.shape[1:]])
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": threads}
    compiled = ov.Core().compile_model(
        model, "CPU", {**settings, "INFERENCE_PRECISION_HINT": computed}
    )
    queue = ov.AsyncInferQueue(compiled, threads)

    def forward(batch: Tensor) -> Tensor:
        parts = [part.contiguous().numpy() for part in batch.split(AT_ONCE)]
        found: list[np.ndarray] = [np.empty(0)] * len(parts)

        def keep(request: ov.InferRequest, i: int) -> None:
            found[i] = request.get_output_tensor(0).data[: len(parts[i])].copy()

        queue.set_callback(keep)
        for i, part in enumerate(parts):
            queue.start_async([np.resize(part, (AT_ONCE, *part.shape[1:]))], i)
        queue.wait_all()
        return torch.from_numpy(np.concatenate(found))

    return forward


def _fresh(task: TrainingContext) -> nn.Module:
    import timm

    network: nn.Module = timm.create_model(task.network.arch, num_classes=0)
    network.load_state_dict(task.network.classifier.backbone.state_dict())
    return network


def _forward(
    network: nn.Module,
    device: torch.device,
    dtype: torch.dtype | None,
    channels_last: bool,
    compiled: bool,
) -> Forward:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout)
    run = network
    if compiled:
        run = torch.compile(network, dynamic=False, options={"freezing": True})  # type: ignore[assignment]

    def forward(batch: Tensor) -> Tensor:
        autocast = torch.autocast(device.type, dtype, enabled=dtype is not None)
        with torch.no_grad(), autocast:
            features: Tensor = run(batch.contiguous(memory_format=layout))
        return features.float()

    return forward


def _apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest relative distance of any photo's features."""
    distance = (ours - theirs).norm(dim=1) / theirs.norm(dim=1)
    return float(distance.max())


if __name__ == "__main__":
    main(measure, __doc__)
