"""`imgcli suggest-merges`: the classes that a model cannot tell apart."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from imgcli.cli.console import render_tables
from imgcli.cli.options import Cluster, Form, Json, Quiet, RunData, RunName, check_form

if TYPE_CHECKING:
    from imgcli.commands.suggest_merges import MergesResult

Retrain = Annotated[
    bool,
    typer.Option(
        "--retrain",
        help="Repeat the folds with each merge: seconds per merge, for frozen backbones.",
    ),
]


def suggest_merges(
    run: RunName = "latest",
    retrain: Retrain = False,
    data: RunData = None,
    form: Form = None,
    cluster: Cluster = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Suggest classes to merge, and classes to split.

    Uses the out-of-fold predictions of the last `imgcli evaluate --folds`.
    For each suggestion: the evidence, accuracy and macro precision after the
    merge, the information lost, photos to look at, and the reason. An empty
    list is a good answer.

    For a run on a frozen backbone, also names classes whose photos are of two
    kinds. That needs the photos.

    Writes merges.json in the run: a plan to edit, for `imgcli merge --plan`.

    Examples:

      imgcli suggest-merges

      imgcli suggest-merges --run latest --retrain --json
    """
    from imgcli.run_lookup import refuse_missing

    check_form(form, None, "suggestions", json)
    refuse_missing([run])

    from imgcli.commands.suggest_merges import suggest_merges

    result = suggest_merges(run, retrain=retrain, data=data)
    render_tables(result, json=json, form=form, table=None, people=_tables)


def show_result(result: "MergesResult") -> None:
    """Print the suggestions, best first, and the classes to split."""
    render_tables(result, json=False, form=None, table=None, people=_tables)


def _tables(result: "MergesResult") -> list[RenderableType]:
    from imgcli.report.terminal import merges

    return [
        *merges.suggestions(result.suggestions, result.accuracy, result.plan, result.too_few),
        *merges.confused(result.confused),
        *merges.undecided(result.undecided),
        *merges.splits(result.splits or ()),
    ]
