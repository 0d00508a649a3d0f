"""`imgcli runs`: the runs that there are, and removing some."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from imgcli.cli.console import render, render_tables, show
from imgcli.cli.options import Form, Json, Quiet, check_form
from imgcli.errors import Refused, WrongUsage
from imgcli.text import count, megabytes

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="[RUN]...", show_default="all", help="Runs to list, or with --prune to remove."
    ),
]
Folder = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of the runs.")]
Sort = Annotated[
    Literal["date", "accuracy", "size", "arch"],
    typer.Option("--sort", help="Order of the list; the highest accuracy, the largest size first."),
]
Prune = Annotated[
    bool, typer.Option("--prune", help="Remove the runs named, or those of the two options below.")
]
Unfinished = Annotated[
    bool,
    typer.Option("--unfinished", help="For --prune: unfinished runs; the default of --prune."),
]
Keep = Annotated[
    int | None,
    typer.Option(
        "--keep",
        metavar="N",
        min=0,
        show_default=False,
        help="For --prune: all finished runs but the newest N.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="For --prune: do not ask.")]


def runs(
    names: Names = [],  # noqa: B006
    folder: Folder = Path("runs"),
    sort: Sort = "date",
    prune: Prune = False,
    unfinished: Unfinished = False,
    keep: Keep = None,
    yes: Yes = False,
    form: Form = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the runs, with their accuracies and sizes, and remove some.

    The accuracy is that of the folds, else of the test part, else of the
    validation photos, with its number of photos and 95 % interval.

    --prune asks before it removes. The run that 'latest' points to, and a
    run whose weights another one started from, are removed only if they are
    named; a run that is being trained is never removed.

    Examples:

      imgcli runs

      imgcli runs --sort accuracy --format md

      imgcli runs --prune --keep 5 --unfinished

      imgcli runs --prune 20260101-120000-alexnet --yes
    """
    check_form(form, None, "runs", json)
    if not prune:
        given = {"--unfinished": unfinished, "--keep": keep is not None, "--yes": yes}
        for option, is_given in given.items():
            if is_given:
                raise WrongUsage(f"{option} goes with --prune.")
        _list(names, folder, sort, form, json)
        return
    if form is not None:
        raise WrongUsage(f"--format {form} is of the list; with --prune use --json.")
    from imgcli.commands.prune_runs import carry_out, plan_prune
    from imgcli.report.terminal.run_list import prune_lines

    plan = plan_prune(names, runs=folder, unfinished=unfinished, keep=keep)
    if plan.removed and not yes:
        if not sys.stdin.isatty():
            raise WrongUsage(
                f"--prune would remove {len(plan.removed)} of the runs in '{folder}/' and asks "
                "before, but there is no terminal to answer at. Add --yes."
            )
        if not json:
            show(*prune_lines(plan.to_json(), done=False))
        what = f"{count(len(plan.removed), 'run')}, {megabytes(plan.freed)}"
        if not typer.confirm(f"Remove {what}?", err=True):
            raise Refused("Nothing is removed.")
    result = carry_out(plan)
    render(result, json=json, people=lambda done: prune_lines(done.to_json(), done=True))


def _list(
    names: list[str],
    folder: Path,
    sort: Literal["date", "accuracy", "size", "arch"],
    form: Literal["csv", "json", "md", "latex"] | None,
    json: bool,
) -> None:
    from imgcli.commands.list_runs import list_runs
    from imgcli.report.terminal.run_list import run_table

    result = list_runs(names, runs=folder, sort=sort)
    render_tables(
        result, json=json, form=form, table=None, people=lambda done: run_table(done.to_json())
    )
