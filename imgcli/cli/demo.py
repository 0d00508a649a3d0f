"""`imgcli demo`: all steps on handwritten digits, with what is installed and without network."""

from pathlib import Path
from shlex import join
from typing import Annotated

import typer
from rich.text import Text

from imgcli.cli import evaluate as cli_evaluate
from imgcli.cli import report as cli_report
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

ARCH = "tf_efficientnet_lite2"  # of those that are installed one alone, which takes a minute
Out = Annotated[Path, typer.Option("--out", help="Folder for the demo's photos and runs.")]


def demo(out: Out = Path("imgcli-demo"), force: Force = False, quiet: Quiet = False) -> None:
    """Show all steps in a minute, without network.

    Writes a thousand of the handwritten digits that come with scikit-learn
    as class folders, one digit under two names; splits them; trains a head
    on a frozen pretrained network that comes with the installation;
    evaluates it by ten folds; finds the two names of one class; and writes
    the report. Each step is shown as the command that does it. The last
    lines are the commands for your own photos.

    Examples:

      imgcli demo

      imgcli demo --out /tmp/digits --force
    """
    from imgcli.commands.suggest_merges import suggest_merges
    from imgcli.commands.write_report import write_report

    raw, dataset, runs = out / "raw", out / "dataset", out / "runs"
    latest = str(runs / "latest")
    _step("demo", "--out", str(out))
    _write_digits(raw, runs, force)
    _step("split", str(raw), "--ratio", "0.9", "--out", str(dataset))
    cli_split.show_result(split(raw, out=dataset, ratio=0.9, force=True), raw)
    _step("train", "--arch", ARCH, "--freeze", "--data", str(dataset), "--out", str(runs))
    trained = train(ARCH, freeze=True, data=dataset, out=runs)
    cli_train.show_result(trained, runs)
    _step("evaluate", "--folds", "10", "--run", latest)
    cli_evaluate.show_result(evaluate(10, run=trained.run))
    _step("suggest-merges", "--run", latest)
    cli_merges.show_result(suggest_merges(trained.run))
    _step("report", "--run", latest)
    cli_report.show_result(write_report(trained.run))
    show(Text(_AFTERWARDS))


def _step(*words: str) -> None:
    show(Text(f"\n$ {join(['imgcli', *words])}", style="bold", no_wrap=True))


def _write_digits(raw: Path, runs: Path, force: bool) -> None:
    """Write the photos of the demo, unless all of it has been done."""
    from imgcli.aside import set_aside
    from imgcli.collect.digits import TWO_NAMES, digits
    from imgcli.collect.ingest import open_store
    from imgcli.latest_run import through_latest

    # report.html is the last file that the demo makes; without it, an interrupted demo goes on.
    if through_latest(runs / "latest" / "report.html").exists() and not force:
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
    ((name, other),) = TWO_NAMES.items()
    show(
        f"{written:,} handwritten digits, which come with scikit-learn, written to {raw} as ink on "
        f"paper, a folder per class. Every second {name} is in the folder '{other}', as if two "
        "people had named the classes. No network can tell these two apart, and suggest-merges "
        "should find them."
    )


_AFTERWARDS = """
Next, with your own photos, in a folder of class folders or a zip of one:

  imgcli import photos.zip --out raw
  imgcli split raw/ --ratio 0.9
  imgcli train --freeze
  imgcli evaluate --folds 10
  imgcli suggest-merges
  imgcli report

`imgcli train --freeze` joins the features of the pretrained networks that are
installed. Others are fetched when they are first used: `imgcli train --arch
resnet101 --freeze`.
"""
