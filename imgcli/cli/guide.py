"""`imgcli guide`: the guides that come with the program, listed or shown."""

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.console import show
from imgcli.errors import WrongUsage

GUIDES = Path(__file__).resolve().parents[1] / "guides"  # one Markdown file per topic
TOPICS = (  # in the order of the work
    *("collecting", "labelling", "checking", "splitting", "training"),
    *("evaluating", "reviewing", "merging", "predicting", "publishing", "scaling"),
)

Topic = Annotated[
    str | None,
    typer.Argument(
        metavar="[TOPIC]",
        show_default=False,
        help="The guide to show. Without it, the topics are listed.",
        autocompletion=lambda: list(TOPICS),
    ),
]


def guide(topic: Topic = None) -> None:
    """Show a guide, or list the topics.

    A guide explains one part of the work: the commands, their options and
    limits, and measured figures. In a terminal it is formatted; through a pipe
    it is plain Markdown.

    Examples:

      imgcli guide

      imgcli guide training
    """
    if topic is None:
        _list_topics()
        return
    if topic not in TOPICS:
        raise WrongUsage(_unknown(topic))
    text = (GUIDES / f"{topic}.md").read_text("utf-8")
    if sys.stdout.isatty():
        from imgcli.report.terminal.pages import page  # brings a highlighter of code

        show(page(text))
    else:
        sys.stdout.write(text)


def summary(topic: str) -> str:
    """The guide's first paragraph, one line below its title."""
    return (GUIDES / f"{topic}.md").read_text("utf-8").split("\n", 3)[2]


def _list_topics() -> None:
    width = max(map(len, TOPICS))
    for topic in TOPICS:
        print(f"{topic:{width}}  {summary(topic)}")
    print("\nShow one: imgcli guide TOPIC")


def _unknown(topic: str) -> str:
    near = get_close_matches(topic, TOPICS)
    which = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(TOPICS)}."
    return f"There is no guide '{topic}'; {which}"
