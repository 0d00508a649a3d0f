"""`imgcli learning-curve`: more photos, or another network?"""

from typing import Annotated

import typer

from imgcli.cli.options import Device, FoldSeed, Json, Quiet, RunData, RunName

Folds = Annotated[int, typer.Option("--folds", metavar="K", help="Folds of the train part.")]


def learning_curve(
    run: RunName = "latest",
    folds: Folds = 5,
    data: RunData = None,
    seed: FoldSeed = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what twice the photos would bring.

    The run's recipe learns from 10 to 100 % of the photos of each class, each
    time judged by folds on photos it has not seen, and the curve is followed
    on to twice as many, for each class too. From the features of a frozen
    backbone, which are kept; the test part is not looked at.

    Examples:

      imgcli learning-curve

      imgcli learning-curve --folds 10 --json
    """
    from rich.text import Text

    from imgcli.cli.console import show, show_json
    from imgcli.evaluation import learning_curve as judge
    from imgcli.progress import be_quiet
    from imgcli.report.plots import learning_curve as drawn
    from imgcli.report.plots.style import save
    from imgcli.runs import find_run
    from imgcli.training.learning_curve import answers_by_share

    be_quiet(quiet)
    chosen = find_run(run)
    answers = answers_by_share(chosen, data, folds, seed, device)
    found = judge.learning_curve(
        answers.classes, answers.photos, answers.right, answers.targets, answers.groups
    )
    document = {"run": str(chosen.folder), "folds": folds, "n": len(answers.targets), **found}
    document["sentence"] = judge.curve_sentence(document)
    chosen.write_json("learning-curve.json", document)
    figure = chosen.folder / "figures" / "learning-curve.png"
    save(drawn.curve(document), figure)
    if json:
        show_json(document)
    else:
        show(Text(document["sentence"], style="bold"), *drawn.tables(document))
        show(Text(f"Figure: {figure}"))
