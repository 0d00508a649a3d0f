"""`imgcli demo`: the whole story on real handwritten digits that come with scikit-learn."""

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.options import Force, Quiet
from imgcli.errors import StorageError

Out = Annotated[Path, typer.Option("--out", help="Folder that gets the demo's photos and runs.")]


def demo(out: Out = Path("imgcli-demo"), force: Force = False, quiet: Quiet = False) -> None:
    """Go through the main job in a minute.

    Writes the 1,797 handwritten digits that come with scikit-learn as class
    folders of PNGs, then does what the commands split, train, evaluate and
    suggest-merges do, and ends with what to type for photos of one's own.

    Examples:

      imgcli demo

      imgcli demo --out /tmp/digits --force
    """
    import os

    # For pictures this small a second thread gains little, and waits long where cores are busy.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    from rich.text import Text

    from imgcli.aside import set_aside
    from imgcli.cli.console import show
    from imgcli.cli.evaluate import evaluate_and_show
    from imgcli.cli.split import split_and_show
    from imgcli.cli.suggest_merges import suggest_and_show
    from imgcli.cli.train import train_and_show
    from imgcli.collect.digits import digits
    from imgcli.collect.ingest import open_store
    from imgcli.config import TrainConfig
    from imgcli.progress import be_quiet, note

    be_quiet(quiet)
    raw, dataset, runs = out / "raw", out / "dataset", out / "runs"

    def step(command: str) -> None:
        show(Text(f"\n$ imgcli {command}", style="bold"))

    step(f"demo --out {out}")
    # The last thing that it makes; without, it was stopped on its way and goes on.
    if (runs / "latest" / "merges.json").exists() and not force:
        raise StorageError(f"'{out}' exists. Choose another --out, or run it anew with --force.")
    if force and runs.exists():  # there may be trainings of the user's own in it
        note(f"The old '{runs}' is kept as '{set_aside(runs).name}' beside it.")
    with open_store(raw, force) as store:
        for digit in digits():
            store.place(digit)
        written = sum(store.counts().values())
    for sentence in store.notes:
        note(sentence)
    show(f"{written:,} digits written to {raw}, a folder per class")
    step(f"split {raw} --ratio 0.9 --out {dataset}")
    split_and_show(raw, dataset, ratio=0.9, force=True)
    config = TrainConfig.of(arch="small-cnn", image_size=16, augment="shift", epochs=8, lr=2e-3)
    step(
        f"train --arch small-cnn --image-size 16 --augment shift --epochs 8 --lr 0.002 "
        f"--data {dataset} --out {runs}"
    )
    run = train_and_show(config, dataset, runs, "auto", None, json=False)
    step(f"evaluate --folds 5 --run {runs}/latest")
    evaluate_and_show([run], None, 5, "train", None, "auto", json=False)
    step(f"suggest-merges --run {runs}/latest")
    suggest_and_show(run, json=False)
    show(Text(_AFTERWARDS))


_AFTERWARDS = """
Now with your own photos, in a folder of class folders or a zip of one:

  imgcli import photos.zip --out raw
  imgcli split raw/ --ratio 0.9
  imgcli train --arch resnet101 --freeze
  imgcli evaluate --folds 10
  imgcli suggest-merges
"""
