"""Everything that imgcli does on a GPU, in one call of under eight minutes, as one Markdown table.

    python -m tests.benchmarks.gpu                          on a machine with a CUDA GPU
    python -m tests.benchmarks.gpu --device cpu --quick     the same in small, to see that it runs

It needs no file and no network: photos are drawn, weights are random. A step that fails says why in
its row, and the others go on.
"""

import argparse
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from imgcli.config import ModelConfig, TrainConfig
from imgcli.models.create import create_network
from imgcli.models.layers import Whitening
from imgcli.models.memory import give_back_unused
from imgcli.models.network import Network
from imgcli.photos.layout import new_photos
from imgcli.photos.split import split_folder
from imgcli.records import Preprocess
from imgcli.runs import Run, finished_runs
from imgcli.training.augment import RECIPES, augment
from imgcli.training.benchmark import extraction_rate
from imgcli.training.context import FitSpec, make_context
from imgcli.training.device import choose_device, forward, upload, wait_for
from imgcli.training.fitting import fit_by_loop
from imgcli.training.inputs import normalise
from imgcli.training.pipeline import train_run
from imgcli.training.precision import has_bf16
from imgcli.training.predict import predict_photos
from imgcli.training.resolve_defaults import resolve_defaults
from imgcli.training.training_loop import backward, new_state, optimizer_step, set_train_mode
from tests.benchmarks import machine
from tests.benchmarks.material import Material, Photos
from tests.benchmarks.timing import Goal, Result, table

MINUTES = 7.5  # after which no step begins
NO_GPU = (
    "This machine has no CUDA GPU that torch can use. To see that the steps run: "
    "python -m tests.benchmarks.gpu --device cpu --quick"
)
OVER = f"left out: {MINUTES:g} minutes were over"
# How far results may be from the CPU's, as a share of their own standard deviation.
ROUNDING = 1e-3  # in float32, which is not TF32
BF16 = 5e-2
PROBABILITY = 0.05  # of a class, in bf16


@dataclass(frozen=True)
class Bench:
    """What the steps share: a device, a folder, and how much is done."""

    device: torch.device
    work: Path
    quick: bool
    until: float = math.inf  # by time.perf_counter: nothing begins after it

    @cached_property
    def big(self) -> str:
        return "test_resnet" if self.quick else "resnet101"

    @cached_property
    def size(self) -> int:
        return 64 if self.quick else 224

    @cached_property
    def precision(self) -> str:
        return "bf16" if has_bf16(self.device) and not self.quick else "fp32"

    @cached_property
    def photos(self) -> Photos:
        return self._drawn.photos(*((40, 2) if self.quick else (1500, 10)))

    @cached_property
    def pictures(self) -> Photos:
        return self._drawn.pictures(60 if self.quick else 6000)

    @property
    def _drawn(self) -> Material:
        return Material(self.work / "no-files", self.work / "data")

    def folder_of(self, photos: Photos) -> Path:
        """A working folder whose dataset/ is split from the photos."""
        folder = self.work / f"of-{photos.root.name}"
        if not folder.exists():
            folder.mkdir()
            with chdir(folder):
                split_folder(photos.root, duplicates="off")
        return folder

    @property
    def frozen(self) -> TrainConfig:
        return TrainConfig.of(
            arch=self.big, freeze=True, pretrained=False, image_size=self.size
        ).with_(precision=self.precision)

    def network(self, arch: str, size: int | None = None) -> Network:
        return create_network(ModelConfig(arch, image_size=size, pretrained=False), 10, 0)

    def small(self) -> nn.Module:
        """`cifar-fast` on the CPU; its first filters, which are found in photos, fit to noise."""
        module: nn.Module = self.network("cifar-fast").classifier
        for layer in module.modules():
            if isinstance(layer, Whitening):
                layer.fit(torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
        return module.to(memory_format=torch.channels_last)

    def over(self) -> bool:
        return time.perf_counter() > self.until


Step = Callable[[Bench], Iterator[Result]]


# --- correctness ---------------------------------------------------------------------------------


def as_on_the_cpu(bench: Bench) -> Iterator[Result]:
    """Outputs, a step's gradient and augmentation beside those of the CPU."""
    cpu = torch.device("cpu")
    network = bench.network("cifar-fast")
    view, draw = network.preprocess, torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (32, 40, 40, 3), generator=draw, dtype=torch.uint8)
    labels = torch.arange(32) % 10
    found: dict[str, list[Tensor]] = {"augmented": [], "logits": [], "gradient": [], "bf16": []}
    for device in (cpu, bench.device):
        module = bench.small().to(device)
        cut = augment(
            pixels.to(device), RECIPES["strong"], view.size, torch.Generator().manual_seed(1)
        )
        images = normalise(cut.clone(), view)
        found["augmented"].append(cut.cpu())
        found["logits"].append(forward(module.eval(), images, "fp32").cpu())
        found["bf16"].append(
            forward(module, images, "bf16" if device != cpu and has_bf16(device) else "fp32").cpu()
        )
        config = resolve_defaults(TrainConfig.of(arch="cifar-fast", precision="fp32", lr=0.1))
        state = new_state(module, config.optim)
        set_train_mode(module, config.model, 1)
        backward(state, config.optim, images, labels.to(device), torch.ones(10, device=device))
        grads = [
            weight.grad.flatten().cpu() for weight in module.parameters() if weight.grad is not None
        ]
        found["gradient"].append(torch.cat(grads))
    for name, (ours, there) in found.items():
        off = float((ours - there).abs().mean() / ours.std())
        bound = BF16 if name == "bf16" else ROUNDING
        yield Result(
            f"`cifar-fast`, {name}: mean difference from the CPU's, share of their deviation",
            (off,),
            unit="",
            goal=Goal("below", bound),
        )


def waits_of_steps(bench: Bench) -> Iterator[Result]:
    """Twenty steps in which torch raises an error where one waits for the GPU."""
    view, module = bench.network("cifar-fast").preprocess, bench.small().to(bench.device)
    asked = TrainConfig.of(arch="cifar-fast", precision=bench.precision, lr=0.1)
    config = resolve_defaults(asked)
    state = new_state(module, config.optim)
    set_train_mode(module, config.model, 1)
    pixels = torch.zeros(64, view.size, view.size, 3, dtype=torch.uint8)
    labels = torch.zeros(64, dtype=torch.long, device=bench.device)
    weights, draw = torch.ones(10, device=bench.device), torch.Generator()

    def step() -> None:
        cut = augment(upload(pixels, bench.device), RECIPES["strong"], view.size, draw)
        backward(state, config.optim, normalise(cut, view), labels, weights)
        optimizer_step(state, config.optim)

    step()  # kernels found, memory taken
    with no_waits(bench.device):
        for _ in range(2 if bench.quick else 20):
            step()
    yield Result(
        "a training step, augmented: waits for the device", (0.0,), unit="", goal=Goal("below", 0)
    )


@contextmanager
def no_waits(device: torch.device) -> Iterator[None]:
    """Inside it CUDA raises an error where the program would wait for it."""
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


# --- speed ---------------------------------------------------------------------------------------


def frozen_from_jpegs(bench: Bench) -> Iterator[Result]:
    """A frozen network from the files to the fitted head; then ten folds, and the CPU's answers."""
    folder = bench.folder_of(bench.photos)
    with chdir(folder):
        count = sum(1 for _ in Path("dataset").glob("*/*/*"))
        seconds = timed(
            bench, lambda: train_run(bench.frozen, Path("dataset"), Path("runs"), bench.device.type)
        )
        yield Result(
            f"frozen `{bench.big}` from {count:,} JPEGs at {bench.size}, head fitted",
            (seconds,), unit="photos/s", amount=count,
        )  # fmt: skip
        run = newest_run()
        seconds = timed(bench, lambda: evaluated(run, bench.device.type))
        yield Result("ten folds of its head", (seconds,))
        photos = new_photos(Path("dataset/test"))
        here, there = (predict_photos([run], photos, d).probs for d in (bench.device.type, "cpu"))
        yield Result(
            f"probabilities of {len(here):,} photos, `{bench.big}`: most that one is off the CPU's",
            (float(np.abs(here - there).max()),), unit="", goal=Goal("below", PROBABILITY),
        )  # fmt: skip


def evaluated(run: Run, device: str) -> None:
    from imgcli.training.scoring import score_folds

    score_folds(run, None, "train", 10, device=device)


def features_beside_timm(bench: Bench) -> Iterator[Result]:
    """Photos on the device already, through the network as imgcli runs it, and as timm's benchmark
    does: amp, channels_last, compiled."""
    network = bench.network(bench.big, bench.size)
    ours, _ = extraction_rate(network, bench.device, bench.precision)
    give_back_unused()
    batch = 8 if bench.quick else 256
    module = bench.network(bench.big, bench.size).classifier.backbone.eval().to(bench.device)
    module = module.to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, bench.size, bench.size, device=bench.device)
    images = images.contiguous(memory_format=torch.channels_last)
    how, run = "amp, channels_last, eager", module
    if not bench.quick:
        how, run = "amp, channels_last, torch.compile", compiled(module, images, bench)
    seconds = [timed(bench, lambda: passed(run, images, bench)) for _ in range(4)][1:]
    yield Result(
        f"features of `{bench.big}` at {bench.size}, {bench.precision}",
        (1 / ours,), (min(seconds) / batch,), f"timm's benchmark ({how}, batch {batch})",
        "photos/s", 1, Goal("faster", 1.0),
    )  # fmt: skip


def compiled(module: nn.Module, images: Tensor, bench: Bench) -> nn.Module:
    made: nn.Module = torch.compile(module)
    passed(made, images, bench)
    return made


def passed(module: nn.Module, images: Tensor, bench: Bench) -> None:
    amp = torch.autocast(bench.device.type, torch.bfloat16, enabled=bench.precision == "bf16")
    with torch.inference_mode(), amp:
        module(images)


def scratch_beside_airbench(bench: Bench) -> Iterator[Result]:
    """Epochs of a small network: imgcli's loop, and one as airbench writes it."""
    folder = bench.folder_of(bench.pictures)
    epochs = 1 if bench.quick else 8
    with chdir(folder):
        config = TrainConfig.of(
            arch="cifar-fast", epochs=epochs, precision=bench.precision, lr=0.02
        )
        context = make_context(config, Path("dataset"), bench.device.type)
        rows = context.rows("train")
        spec = FitSpec(rows, rows[:0])
        batch = context.config.optim.batch_size
        assert batch
        fit_by_loop(context, spec)  # kernels found, memory taken
        ours = timed(bench, lambda: fit_by_loop(context, spec))
        pixels = torch.from_numpy(context.inputs.own.pixels.gather(rows))  # type: ignore[union-attr]
    view, labels = context.network.preprocess, context.targets[rows]
    peer = lambda: airbench(bench, pixels, labels, view, epochs, batch)  # noqa: E731
    peer()
    yield Result(
        f"`cifar-fast` from scratch, {epochs} epochs of {len(rows):,} pictures, batch {batch}",
        (ours,), (timed(bench, peer),), "airbench's loop (channels_last, flip, shift, SGD)",
        "pictures/s", epochs * len(rows), Goal("faster", 0.9),
    )  # fmt: skip


def airbench(
    bench: Bench, pixels: Tensor, labels: Tensor, view: Preprocess, epochs: int, batch: int
) -> None:
    """Jordan's loop (94 % on CIFAR-10 in 3.29 Seconds, 2024), shortened: all on the device."""
    device = bench.device
    half = torch.bfloat16 if bench.precision == "bf16" else torch.float32
    module = bench.small().to(device, half).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.02, momentum=0.85, nesterov=True)
    mean, std = (
        torch.tensor(v, device=device).view(1, 3, 1, 1) * 255 for v in (view.mean, view.std)
    )
    images = ((pixels.to(device).permute(0, 3, 1, 2).float() - mean) / std).to(half)
    padded = functional.pad(images, (2,) * 4, "reflect")
    size = images.shape[-1]
    for epoch in range(epochs):
        flipped = padded.flip(-1) if epoch % 2 else padded
        x, y = (int(v) for v in torch.randint(0, 5, (2,)))
        moved = flipped[:, :, y : y + size, x : x + size]
        for some in torch.randperm(len(images), device=device).split(batch):
            batch_images = moved[some].contiguous(memory_format=torch.channels_last)
            loss = functional.cross_entropy(module(batch_images).float(), labels[some])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()


# --- commands ------------------------------------------------------------------------------------


def commands(bench: Bench) -> Iterator[Result]:
    """The commands as they are typed, each a process; a training is interrupted and goes on."""
    device = ["--device", bench.device.type]
    big = ["--arch", bench.big, "--freeze", "--no-pretrained", "--image-size", str(bench.size)]
    with chdir(bench.folder_of(bench.photos)):
        yield command(bench, "train", *big, *device)
        yield command(bench, "predict", "dataset/test", *device)
        yield command(bench, "export", "--format", "torchscript")
    with chdir(bench.folder_of(bench.pictures)):
        epochs = "3" if bench.quick else "60"
        words = ["train", "--arch", "cifar-fast", "--epochs", epochs, *device]
        yield Result(f"`imgcli {shlex.join(words)}`, interrupted", (interrupted(words),))
        yield command(bench, "train", "--resume", *device)
        yield command(bench, "evaluate", "--folds", "2", *device)


def command(bench: Bench, *words: str) -> Result:
    if bench.over():
        return Result(f"`imgcli {shlex.join(words)}`", (), note=OVER)
    start = time.perf_counter()
    machine.run(machine.imgcli(*words), Path.cwd())
    return Result(f"`imgcli {shlex.join(words)}`", (time.perf_counter() - start,))


def interrupted(words: list[str]) -> float:
    """Start a training and press Ctrl-C once its first epoch is kept; how long that took."""
    start = time.perf_counter()
    env = {**os.environ, "PYTHONPATH": str(machine.PROJECT)}
    process = subprocess.Popen(
        machine.imgcli(*words), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while process.poll() is None and not list(Path("runs").glob("*/checkpoint.safetensors")):
        time.sleep(0.02)
        if time.perf_counter() - start > 120:
            process.kill()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1].decode(errors="replace")
    if process.returncode != 130:
        raise RuntimeError(f"exit {process.returncode}: {said[-200:]}")
    return time.perf_counter() - start


def newest_run() -> Run:
    return finished_runs(Path("runs"))[-1]


def timed(bench: Bench, work: Callable[[], object]) -> float:
    wait_for(bench.device)
    start = time.perf_counter()
    work()
    wait_for(bench.device)
    return time.perf_counter() - start


# --- all of it -----------------------------------------------------------------------------------

STEPS: Mapping[str, Step] = {
    "results as on the CPU": as_on_the_cpu,
    "no waits in a step": waits_of_steps,
    "frozen network": frozen_from_jpegs,
    "features": features_beside_timm,
    "from scratch": scratch_beside_airbench,
    "commands": commands,
}


def measure(bench: Bench, steps: Mapping[str, Step] = STEPS) -> Iterator[Result]:
    """All steps; of one that fails, or that there is no time for, a row that says so."""
    for name, step in steps.items():
        if bench.over():
            yield Result(name, (), note=OVER)
            continue
        try:
            yield from step(bench)
        except Exception as error:  # the other steps are worth having
            said = " ".join(str(error).split())[-300:]
            yield Result(name, (), note=f"failed: {type(error).__name__}: {said}")
        finally:
            give_back_unused()


def facts(device: torch.device) -> list[str]:
    """The device and what computes on it."""
    lines = [date.today().isoformat(), *machine.facts()]
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        lines.append(
            f"{about.name}, {about.total_memory / 1e9:.0f} GB, CUDA {torch.version.cuda}, cuDNN "
            f"{torch.backends.cudnn.version()}, capability {about.major}.{about.minor}"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--quick", action="store_true", help="little work: to see that it runs")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table here as well")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        sys.exit(NO_GPU)
    os.environ.setdefault("COLUMNS", "100")
    device, start, results = choose_device(chosen.device), time.perf_counter(), []
    with TemporaryDirectory(prefix="imgcli-gpu-") as folder:
        bench = Bench(device, Path(folder).resolve(), chosen.quick, start + 60 * MINUTES)
        for result in measure(bench):
            print(" · ".join(result.row()), flush=True)
            results.append(result)
    words = shlex.join(["python", "-m", "tests.benchmarks.gpu", *sys.argv[1:]])
    lines = [*facts(device), f"`{words}`, {time.perf_counter() - start:.0f} s"]
    text = "\n".join(
        [f"## {machine.title()}", "", *(f"- {line}" for line in lines), "", table(results)]
    )
    print(f"\n{text}")
    if chosen.out:
        chosen.out.write_text(text + "\n", "utf-8")
    failed = [result.work for result in results if result.reached is False or not result.ours]
    if failed:
        sys.exit(f"Not as it should be: {json.dumps(failed)}")


if __name__ == "__main__":
    main()
