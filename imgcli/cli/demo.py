"""`imgcli demo`: all steps on the handwritten digits that come with scikit-learn."""

import os
from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli import evaluate as cli_evaluate
from imgcli.cli import split as cli_split
from imgcli.cli import suggest_merges as cli_merges
from imgcli.cli import train as cli_train
from imgcli.cli.console import show
from imgcli.cli.options import Force, Quiet
from imgcli.commands.evaluate import evaluate
from imgcli.commands.split import split
from imgcli.commands.train import train
from imgcli.errors import StorageError
from imgcli.progress import note

Out = Annotated[Path, typer.Option("--out", help="Folder for the demo's photos and runs.")]


def demo(out: Out = Path("imgcli-demo"), force: Force = False, quiet: Quiet = False) -> None:
    """Show all steps in a minute.

    Writes the 1,797 handwritten digits that come with scikit-learn as class
    folders of PNGs, runs split, train, evaluate and suggest-merges on them,
    and ends with the commands for your own photos.

    Examples:

      imgcli demo

      imgcli demo --out /tmp/digits --force
    """
    # For pictures this small a second thread gains little, and waits long where cores are busy.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    from rich.text import Text

    from imgcli.commands.suggest_merges import suggest_merges

    def step(command: str) -> None:
        show(Text(f"\n$ imgcli {command}", style="bold"))

    raw, dataset, runs = out / "raw", out / "dataset", out / "runs"
    step(f"demo --out {out}")
    _write_digits(raw, runs, force)
    step(f"split {raw} --ratio 0.9 --out {dataset}")
    cli_split.show_result(split(raw, out=dataset, ratio=0.9, force=True), raw)
    step(
        f"train --arch small-cnn --image-size 16 --augment shift --epochs 8 --lr 0.002 "
        f"--data {dataset} --out {runs}"
    )
    trained = train(
        "small-cnn", image_size=16, augment="shift", epochs=8, lr=2e-3, data=dataset, out=runs
    )
    cli_train.show_result(trained, runs)
    step(f"evaluate --folds 5 --run {runs}/latest")
    cli_evaluate.show_result(evaluate(5, run=trained.run))
    step(f"suggest-merges --run {runs}/latest")
    cli_merges.show_result(suggest_merges(trained.run))
    show(Text(_AFTERWARDS))


def _write_digits(raw: Path, runs: Path, force: bool) -> None:
    """Write the photos of the demo, unless all of it has been done."""
    from imgcli.aside import set_aside
    from imgcli.collect.digits import digits
    from imgcli.collect.ingest import open_store
    from imgcli.runs import through_latest

    # merges.json is the last file that the demo makes; without it, an interrupted demo goes on.
    if through_latest(runs / "latest" / "merges.json").exists() and not force:
        raise StorageError(
            f"'{raw.parent}' exists. Choose another --out, or run it again with --force."
        )
    if force and runs.exists():  # there may be trainings of the user's own in it
        note(f"The old '{runs}' is kept as '{set_aside(runs).name}' beside it.")
    with open_store(raw, force) as store:
        for digit in digits():
            store.place(digit)
        written = sum(store.counts().values())
    for sentence in store.notes:
        note(sentence)
    show(f"{written:,} digits written to {raw}, a folder per class")


_AFTERWARDS = """
Next, with your own photos, in a folder of class folders or a zip of one:

  imgcli import photos.zip --out raw
  imgcli split raw/ --ratio 0.9
  imgcli train --freeze
  imgcli evaluate --folds 10
  imgcli suggest-merges
"""
