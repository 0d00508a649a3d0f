"""The commands by name. A command's module is imported when the command runs or shows its help."""

import shutil
from functools import cache
from importlib import import_module
from typing import Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from imgcli.errors import Interrupted
from imgcli.text import is_plain

# Each command and its line in `imgcli --help`, which is the first line of its docstring; in the
# order of the work. It is the function of its name in the module of its name.
COMMANDS = {
    "scrape": "Download openly licensed photos into one folder of class folders.",
    "import": "Copy labelled photos, in many formats, into one folder of class folders.",
    "credits": "Write a page with the author and licence of every scraped photo.",
    "check": "Find faulty files, duplicates, outliers and wrong labels before training.",
    "restore": "Move photos back that `imgcli check --fix` or `imgcli review` moved.",
    "next": "List the photos to label next, the most valuable first.",
    "label": "Label photos in the browser, the most valuable first.",
    "split": "Split photos into train and test, stratified by class; duplicates stay together.",
    "choose": "Find out which pretrained network suits the photos best.",
    "train": "Train a network on the train part of a dataset.",
    "tune": "Search hyper-parameters for the highest accuracy on held-out photos.",
    "evaluate": "Estimate the error of a run, with its 95 % interval.",
    "compare": "Compare runs on the same photos.",
    "suggest-merges": "Suggest classes to merge, and classes to split.",
    "review": "Decide about labels, duplicates, merges and predictions in the browser.",
    "merge": "Merge classes, in a new folder.",
    "report": "Write a report: one HTML file of all results.",
    "push": "Upload a run to the Hugging Face hub, with a model card.",
    "runs": "List the runs, with their accuracies and sizes, and remove some.",
    "show": "Show everything about one run.",
    "learning-curve": "Estimate the accuracy with twice the photos.",
    "predict": "Predict the classes of new photos.",
    "export": "Write a run as a file or folder for other programs, compared with imgcli.",
    "explain": "Show where in photos the evidence for a class is, and the photos most like them.",
    "archs": "List networks: the zoo, or all with every WORD in their names.",
    "bench": "Measure this machine and estimate how long cross-validation takes on it.",
    "cache": "Show the entries of .imgcli/cache, and remove them.",
    "demo": "Show all steps in a minute, without network.",
    "guide": "Show a guide, or list the topics.",
}


NAMES = {"import": "import_photos", "next": "next_photos", "label": "label_photos"}
WIDE = 80  # columns that typer's help in boxes needs


def load_command(name: str) -> Any:
    """A command as typer makes it, or the group of its sub-commands.

    Its help and its errors are in boxes where there is room for them and styles are wanted.
    """
    boxes = shutil.get_terminal_size().columns >= WIDE and not is_plain()
    return _load(name, "rich" if boxes else None)


@cache
def _load(name: str, mode: Literal["rich"] | None) -> Any:
    function = NAMES.get(name, name.replace("-", "_"))
    found = getattr(import_module(f"imgcli.cli.{function}"), function)
    if isinstance(found, typer.Typer):
        found.rich_markup_mode = mode
        command: Any = typer.main.get_group(found)
    else:
        alone = typer.Typer(add_completion=False, rich_markup_mode=mode)
        alone.command(name)(found)
        command = typer.main.get_command(alone)
    command.name = name
    return command


class CommandGroup(TyperGroup):
    """Lists the commands from the table, in plain text; rich's renderers would double its time."""

    def __init__(self, **kwargs: Any) -> None:
        commands = {name: TyperCommand(name, short_help=line) for name, line in COMMANDS.items()}
        super().__init__(**{**kwargs, "commands": commands, "rich_markup_mode": None})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself in place of its line in the list."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load_command(str(name)), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; typer itself would end Ctrl-C without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted(
                "Interrupted. What is finished is kept; the same command goes on from there."
            ) from None
