"""Training from scratch: imgcli's loop on the pixel store beside a plain and a good PyTorch loop.

`--full` also trains on all the pictures for as long as the arch's own recipe says.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.machine import imgcli, run
from tests.benchmarks.material import Photos
from tests.benchmarks.script import Setting, main
from tests.benchmarks.timing import Contender, Costs, Goal, Result, alternate, repeat

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader

    from imgcli.config import TrainConfig
    from imgcli.models.network import Classifier
    from imgcli.records import Preprocess

    Training = Callable[[Path, TrainConfig, torch.device], tuple[Classifier, Preprocess]]

ARCH = "cifar-fast"
PLAIN = "plain PyTorch loop, fp32"
GOOD = "PyTorch loop by hand: pixels in memory, channels_last, bf16, fused SGD"
_SGD_RATE = 0.4  # of a batch of 500, with Nesterov momentum (Page, How to Train Your ResNet)
ULTRALYTICS = "ultralytics, yolo11n-cls"


def measure(setting: Setting) -> Iterator[Result]:
    count, epochs = (600, 1) if setting.quick else (10_000, 3)
    pictures = setting.material.pictures(count)
    run(imgcli("split", pictures.root, "--duplicates", "off"), setting.work)
    yield from beside_plain(pictures, epochs, setting)
    if setting.full:
        yield whole(setting)


def beside_plain(pictures: Photos, epochs: int, setting: Setting) -> Iterator[Result]:
    """A few epochs by the same recipe, then the test part.

    Both decode in the time that counts; neither imports.
    """
    from imgcli.config import TrainConfig
    from imgcli.runs import finished_runs
    from imgcli.training.device import choose_device
    from imgcli.training.pipeline import train_run
    from imgcli.training.resolve_defaults import resolve_defaults
    from imgcli.training.scoring import score_test

    device = choose_device(setting.device)
    config = TrainConfig.of(arch=ARCH, epochs=epochs, val_share=0.0)
    data, runs = setting.work / "dataset", setting.work / "runs"
    images = epochs * sum(1 for _ in data.glob("train/*/*"))
    wrong: list[float] = []

    def ours(folder: Path) -> None:
        with chdir(folder):  # where the cache is empty
            train_run(config, data, runs, str(device))

    def by(name: str, training: "Training") -> Contender:
        def contender(folder: Path) -> None:
            network, preprocess = training(data, resolve_defaults(config), device)
            trained[name].append(lambda: plain_errors(network, preprocess, data, device))

        return contender

    peers = {PLAIN: plain_training, GOOD: good_training}
    trained: dict[str, list[Callable[[], float]]] = {name: [] for name in peers}
    contenders: dict[str, Contender] = {"imgcli": ours}
    contenders |= {name: by(name, training) for name, training in peers.items()}
    failure = ultralytics_failure(data, setting)
    if not failure:
        contenders[ULTRALYTICS] = lambda folder: ultralytics_training(
            data, epochs, config_batch(resolve_defaults(config)), device, folder
        )
    seconds = alternate(contenders, setting.rounds(3), setting.work)
    with chdir(setting.work):
        for finished in finished_runs(runs)[1:]:  # less the warm-up
            predictions = score_test(finished, data, str(device)).predictions
            wrong.append(100 * float((predictions.preds != predictions.targets).mean()))
        their_wrong = {name: tuple(errors() for errors in trained[name][1:]) for name in peers}

    work = f"{ARCH} from scratch, {epochs} epochs, {pictures}"
    tested = sum(1 for _ in data.glob("test/*/*"))
    for name, goal in ((PLAIN, 2.2), (GOOD, 1.3)):
        yield _rate(work, seconds, name, images, Goal("faster", goal))
        yield Result(
            f"{work}: errors on the test part, {tested:,} pictures",
            tuple(wrong),
            their_wrong[name],
            name,
            "%",
            note="after so few epochs; --full trains to the end",
        )
    if failure:
        yield Result(work, (), (), f"{ULTRALYTICS}: not measured", note=failure)
    else:
        yield _rate(f"{work}; its own network", seconds, ULTRALYTICS, images, None)


def _rate(
    work: str, seconds: dict[str, Costs], peer: str, images: int, goal: Goal | None
) -> Result:
    return Result(work, seconds["imgcli"], seconds[peer], peer, "images/s", images, goal)


def whole(setting: Setting) -> Result:
    """All pictures to the end of the recipe, the whole command; once, since it takes minutes."""
    pictures = setting.material.pictures()
    folder = setting.work / "whole"
    folder.mkdir()
    run(imgcli("split", pictures.root, "--duplicates", "near"), folder)
    seconds = repeat(
        lambda _: run(imgcli("train", "--arch", ARCH, "--device", setting.device), folder),
        setting.rounds(1) if setting.quick else 1,
        setting.work,
        warm_up=False,
    )
    answer = json.loads(run(imgcli("evaluate", "--json"), folder))
    accuracy = answer["accuracy"]
    return Result(
        f"`train --arch {ARCH}`, {pictures}, its own recipe",
        seconds,
        goal=Goal("below", 1200.0),
        note=f"{100 * accuracy['value']:.2f} % of the {answer['n']:,} pictures of the test part "
        f"right, 95 % interval {'–'.join(f'{100 * end:.2f}' for end in accuracy['ci95'])} "
        "(the goal is 94 %)",
    )


def plain_training(
    data: Path, config: "TrainConfig", device: "torch.device"
) -> "tuple[Classifier, Preprocess]":
    """The loop of tutorials, float32 and as it comes: the same network, optimizer and epochs."""
    import torch
    from timm.optim._optim_factory import create_optimizer_v2
    from torch.optim.lr_scheduler import OneCycleLR

    from imgcli.config import ModelConfig
    from imgcli.models.create import create_network
    from imgcli.models.layers import Whitening

    classes = sum(1 for _ in (data / "train").iterdir())
    network = create_network(ModelConfig(ARCH, init=config.model.init), classes, config.seed)
    module = network.classifier.to(device).train()
    batches = plain_batches(data / "train", network.preprocess, config, learn=True)
    assert config.optim.epochs and config.optim.lr and config.optim.optimizer
    optimizer = create_optimizer_v2(
        module,
        opt=config.optim.optimizer,
        lr=config.optim.lr,
        weight_decay=config.optim.weight_decay or 0.0,
        momentum=config.optim.momentum or 0.9,
    )
    for layer in module.modules():
        if isinstance(layer, Whitening):  # as imgcli finds its filters
            layer.fit(next(iter(batches))[0])
    schedule = OneCycleLR(optimizer, config.optim.lr, config.optim.epochs * len(batches))
    for _ in range(config.optim.epochs):
        for images, targets in batches:
            logits = module(images.to(device))
            loss = torch.nn.functional.cross_entropy(
                logits, targets.to(device), label_smoothing=config.optim.label_smoothing or 0.0
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            loss.item()
    return module, network.preprocess


def good_training(
    data: Path, config: "TrainConfig", device: "torch.device"
) -> "tuple[Classifier, Preprocess]":
    """A loop as one would write it for speed: the same network, batch and epochs.

    Photos are decoded once, by torchvision, and stay in memory as uint8; batches are cropped and
    mirrored as a whole; convolutions are channels last and in bf16; SGD is fused.
    """
    import torch

    from imgcli.config import ModelConfig
    from imgcli.models.create import create_network
    from imgcli.models.layers import Whitening
    from imgcli.training.device import keep_freed_memory

    keep_freed_memory()  # of the C library: jemalloc, which such loops are run with, does so too
    optim = config.optim
    pixels, targets = _decoded(data / "train")
    network = create_network(
        ModelConfig(ARCH, init=config.model.init), int(targets.max()) + 1, config.seed
    )
    module = network.classifier.to(device, memory_format=torch.channels_last).train()
    look = network.preprocess
    mean, std = (255 * torch.tensor(values, device=device) for values in (look.mean, look.std))
    pixels, targets = pixels.to(device), targets.to(device)

    def images_of(some: "torch.Tensor") -> "torch.Tensor":
        return ((some.float() - mean) / std).permute(0, 3, 1, 2)  # channels last

    for layer in module.modules():
        if isinstance(layer, Whitening):
            layer.fit(images_of(pixels[:: max(1, len(pixels) // 1000)]))
    epochs, size = optim.epochs or 0, config_batch(config)
    per_epoch = -(-len(pixels) // size)
    optimizer = torch.optim.SGD(
        module.parameters(), _SGD_RATE, 0.9, weight_decay=5e-4, nesterov=True, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _SGD_RATE, epochs * per_epoch)
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(epochs):
        order = torch.randperm(len(pixels), generator=generator)
        for rows in order.tensor_split(per_epoch):
            images = images_of(_moved(pixels[rows], generator))
            with torch.autocast(device.type, torch.bfloat16):
                logits = module(images)
            loss = torch.nn.functional.cross_entropy(
                logits.float(), targets[rows], label_smoothing=optim.label_smoothing or 0.0
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return module, look


def _decoded(folder: Path) -> "tuple[torch.Tensor, torch.Tensor]":
    """Pixels `(N, S, S, 3)` uint8 and targets `(N,)` of a folder of pictures of one size."""
    import torch
    from torchvision.datasets import ImageFolder
    from torchvision.io import ImageReadMode, decode_image, read_file

    samples = ImageFolder(folder).samples
    photos = [decode_image(read_file(path), ImageReadMode.RGB) for path, _ in samples]
    targets = torch.tensor([target for _, target in samples])
    return torch.stack(photos).permute(0, 2, 3, 1).contiguous(), targets


def _moved(pixels: "torch.Tensor", generator: "torch.Generator") -> "torch.Tensor":
    """A batch `(B, S, S, 3)`, each photo shifted by up to two pixels and mirrored or not."""
    import torch

    n, size = pixels.shape[:2]
    wide = torch.nn.functional.pad(pixels, (0, 0, 2, 2, 2, 2))
    starts = torch.randint(0, 5, (2, n, 1), generator=generator)
    rows, columns = (starts + torch.arange(size)).to(pixels.device)
    mirrored = (torch.rand(n, 1, generator=generator) < 0.5).to(pixels.device)
    columns = torch.where(mirrored, columns.flip(1), columns)
    photos = torch.arange(n, device=pixels.device)[:, None, None]
    return wide[photos, rows[:, :, None], columns[:, None, :]]


def plain_batches(
    folder: Path, preprocess: "Preprocess", config: "TrainConfig | None", *, learn: bool
) -> "DataLoader[tuple[torch.Tensor, torch.Tensor]]":
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    size = preprocess.size
    augmented = [transforms.RandomCrop(size, padding=size // 16), transforms.RandomHorizontalFlip()]
    steps = [
        transforms.Resize((size, size)),
        *(augmented if learn else []),
        transforms.ToTensor(),
        transforms.Normalize(preprocess.mean, preprocess.std),
    ]
    return DataLoader(
        ImageFolder(folder, transforms.Compose(steps)),
        batch_size=config_batch(config),
        shuffle=learn,
        num_workers=2,
        persistent_workers=learn,
    )


def config_batch(config: "TrainConfig | None") -> int:
    return (config and config.optim.batch_size) or 256


def plain_errors(
    module: "Classifier", preprocess: "Preprocess", data: Path, device: "torch.device"
) -> float:
    """Percent of the test part that a plainly trained network gets wrong."""
    import torch

    wrong = total = 0
    with torch.inference_mode():
        module.eval()
        for images, targets in plain_batches(data / "test", preprocess, None, learn=False):
            preds = module(images.to(device)).argmax(1).cpu()
            wrong += int((preds != targets).sum())
            total += len(targets)
    return 100 * wrong / total


def ultralytics_failure(data: Path, setting: Setting) -> str:
    """Why ultralytics cannot take part; empty if one epoch with it goes well."""
    import torch

    try:
        ultralytics_training(data, 1, 256, torch.device("cpu"), setting.work / "try")
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return ""


def ultralytics_training(
    data: Path, epochs: int, batch: int, device: "torch.device", folder: Path
) -> None:
    """Its smallest classifier from scratch at 32 pixels, with its own recipe, without network."""
    os.environ.update(YOLO_CONFIG_DIR=str(folder.parent), YOLO_OFFLINE="true", YOLO_VERBOSE="false")
    import torch
    from ultralytics.models import YOLO

    threads = torch.get_num_threads()
    YOLO("yolo11n-cls.yaml").train(
        data=str(data),
        epochs=epochs,
        imgsz=32,
        batch=batch,
        device=device.type if device.type == "cpu" else 0,
        workers=2,
        pretrained=False,
        amp=device.type == "cuda",
        plots=False,
        val=False,
        verbose=False,
        project=str(folder),
    )
    torch.set_num_threads(threads)  # it leaves one core less to whoever comes after it


if __name__ == "__main__":
    main(measure, __doc__)
