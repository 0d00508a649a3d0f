"""Ten folds from JPEGs: beside one feature pass, and beside the program a user would write."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from tests.benchmarks.machine import imgcli, run
from tests.benchmarks.script import Setting, main
from tests.benchmarks.timing import Costs, Goal, Result, alternate, repeat

FOLDS, EPOCHS = 10, 10
BATCH = 64
ARCH = "mobilenetv2_100"
# A process of its own, as `imgcli evaluate` is one: with its imports, from a cold cache.
FEATURE_PASS = (
    "import sys; from pathlib import Path; from imgcli.run_lookup import find_run;"
    "from imgcli.training.context import make_context;"
    "run = find_run(); make_context(run.config, run.data, sys.argv[1])"
)
LIBRARIES = "import torch, timm, torchvision, sklearn.linear_model"


def measure(setting: Setting) -> Iterator[Result]:
    photos = setting.material.photos(*setting.amount((), (600, 12), (60, 3)))
    made = setting.work / "made"
    made.mkdir()
    device = ["--device", setting.device]
    weights = setting.material.weights
    known = ["--weights", str(weights), "--model-arg", "pad_type=same"] if weights else []
    run(imgcli("split", photos.root, "--duplicates", "off"), made)
    pretrained = known or ["--no-pretrained"]
    run(imgcli("train", "--arch", ARCH, "--freeze", *pretrained, *device), made)
    evaluate = imgcli("evaluate", "--folds", str(FOLDS), "--json", *device)
    pass_ = [sys.executable, "-c", FEATURE_PASS, setting.device]

    def cold(command: list[str], folder: Path) -> None:
        """The dataset and the run are there; what was decoded, looked at or hashed is not."""
        for name in ("dataset", "runs"):
            (folder / name).symlink_to(made / name)
        for done in made.glob("runs/*/folds/*"):
            remove(done)
        run(command, folder)

    seconds = alternate(
        {"imgcli": partial(cold, evaluate), "pass": partial(cold, pass_)},
        setting.rounds(3),
        setting.work,
    )
    work = f"`evaluate --folds {FOLDS}` from JPEGs, {ARCH}, {photos}"
    yield Result(
        work, seconds["imgcli"], seconds["pass"], "one feature pass", goal=Goal("cost", 1.3)
    )
    yield plain_program(work, made, seconds["imgcli"], setting)
    yield from again(made, evaluate, setting)


def remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def plain_program(work: str, made: Path, ours: Costs, setting: Setting) -> Result:
    """Ten trainings of ten epochs; one epoch of one fold is timed and multiplied."""
    epoch = repeat(
        lambda folder: plain_epoch(made / "dataset", setting.device), setting.rounds(2), made
    )
    return Result(
        work,
        ours,
        (FOLDS * EPOCHS * fmean(epoch),),
        f"plain program, EXTRAPOLATED from one epoch of one fold × {FOLDS * EPOCHS}",
        goal=Goal("faster", 150.0),
        note=f"the plain program: ImageFolder, DataLoader (2 workers), the frozen backbone and a "
        f"linear head by SGD; an epoch of one fold took {fmean(epoch):.1f} s (n = {len(epoch)})",
    )


def plain_epoch(dataset: Path, device: str) -> None:
    """One epoch on nine tenths of the train part, as tutorials write it."""
    import timm
    import torch
    from torch.utils.data import DataLoader, Subset
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    from imgcli.training.device import choose_device

    where = choose_device(device)
    backbone: Any = timm.create_model(ARCH, num_classes=0).to(where).eval().requires_grad_(False)
    to_tensor = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    photos = ImageFolder(dataset / "train", to_tensor)
    learnt = Subset(photos, [i for i in range(len(photos)) if i % FOLDS])
    head = torch.nn.Linear(backbone.num_features, len(photos.classes)).to(where)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
    for images, targets in DataLoader(learnt, BATCH, shuffle=True, num_workers=2):
        with torch.no_grad():
            features = backbone(images.to(where))
        loss = torch.nn.functional.cross_entropy(head(features), targets.to(where))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()


def again(made: Path, evaluate: list[str], setting: Setting) -> Iterator[Result]:
    """Answers from the cache: the same folds once more, and other folds of the same features."""
    seeds = iter(range(1, 1000))
    seconds = alternate(
        {
            "same": lambda folder: run(evaluate, made),
            "other": lambda folder: run([*evaluate, "--seed", str(next(seeds))], made),
            "imports": lambda folder: run([sys.executable, "-c", LIBRARIES], made),
        },
        setting.rounds(5),
        setting.work,
    )
    imports = f"`python -c '{LIBRARIES}'`"
    note = "most of it should be the imports, the peer here"
    for work, name in (("a second `evaluate`", "same"), ("`evaluate` of other folds", "other")):
        yield Result(
            f"{work} from the cache",
            seconds[name],
            seconds["imports"],
            imports,
            goal=Goal("below", 8.0) if name == "same" else None,
            note=note,
        )


if __name__ == "__main__":
    main(measure, __doc__)
