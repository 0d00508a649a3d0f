"""README and guides: complete, and true of the program's commands and options."""

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from imgcli.cli.command_group import COMMANDS, load_command
from imgcli.cli.guide import GUIDES, TOPICS, summary
from imgcli.cli.main import app
from imgcli.config import choices

HOUSE = Path(__file__).resolve().parents[1]
README = HOUSE / "README.md"
PAGES = [README, *sorted(GUIDES.glob("*.md"))]
PROGRAM: Any = typer.main.get_command(app)
PROGRAM.commands = {name: load_command(name) for name in COMMANDS}


OTHERS = {"--logdir"}  # options of other programs that a page types: tensorboard's


def command_lines(text: str) -> Iterator[str]:
    """What a page types in its blocks of code."""
    block = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    for line in block.replace("\\\n", "").splitlines():
        yield from (part.strip() for part in line.split("&&"))


def mentions(text: str) -> Iterator[str]:
    """The commands in a page's sentences and tables, which may lack their arguments."""
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    yield from (" ".join(code.split()) for code in re.findall(r"`(imgcli\s[^`]+)`", prose))


def of_all(find: Callable[[str], Iterator[str]]) -> list[str]:
    found = {line for page in PAGES for line in find(page.read_text("utf-8"))}
    return sorted(line for line in found if line.startswith("imgcli ") and "COMMAND" not in line)


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that is meant, and the words after its name."""
    command, name = PROGRAM, "imgcli"
    while hasattr(command, "commands") and not [*words, ""][0].startswith("-"):
        if name == "archs" and words[:1] not in ([sub] for sub in command.commands):
            words = ["search", *words]
        assert words and words[0] in command.commands, f"no command {words[:1]}"
        name, *words = words
        command = command.commands[name]
    return command, words


def parsed(words: list[str]) -> Any:
    """The context of a command line, with the program's own settings: a command keeps its -h."""
    command, words = command_of(words)
    return command.make_context(command.name, words, **PROGRAM.context_settings)


def options_of(command: Any) -> set[str]:
    return {name for option in command.params for name in (*option.opts, *option.secondary_opts)}


def all_options(command: Any = PROGRAM) -> set[str]:
    below = (all_options(sub) for sub in getattr(command, "commands", {}).values())
    return options_of(command).union(*below, {"--help"})


def links(page: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    return [target for target in targets if not target.startswith(("http://", "https://"))]


def test_topics_are_the_guides_that_there_are() -> None:
    assert sorted(TOPICS) == sorted(path.stem for path in GUIDES.iterdir())


@pytest.mark.parametrize("topic", TOPICS)
def test_a_guide_begins_with_its_title_a_summary_and_a_command(topic: str) -> None:
    title, _, line, _, *rest = (GUIDES / f"{topic}.md").read_text("utf-8").splitlines()
    assert title.startswith("# ") and line == summary(topic)
    assert len(line) <= 68 and line.endswith(".")  # in the list, on 80 columns
    assert any(text.startswith("    imgcli ") for text in rest[:6])


@pytest.mark.parametrize("command", sorted(PROGRAM.commands))
def test_every_command_is_typed_on_a_page(command: str) -> None:
    assert any(line.split()[1] == command for line in of_all(command_lines))


@pytest.mark.parametrize("line", of_all(command_lines))
def test_a_command_line_parses(line: str) -> None:
    with parsed(shlex.split(line, comments=True)[1:]):
        pass


@pytest.mark.parametrize("line", of_all(mentions))
def test_a_command_in_a_sentence_has_these_options(line: str) -> None:
    command, words = command_of(shlex.split(line)[1:])
    named = {word for word in words if word.startswith("-")}
    assert named <= options_of(command) | {"--help"}


@pytest.mark.parametrize("line", ["evaluate --fold 5", "train --epochs many", "archs describe"])
def test_a_command_line_that_is_wrong_does_not_parse(line: str) -> None:
    with pytest.raises(Exception, match=r"No such option|valid integer|Missing parameter"):
        parsed(line.split())


# What is typed for torchrun, Slurm and Ray, before or around a command of imgcli.
OF_OTHERS = re.compile(
    r"torchrun\b[^`]*?(?= -- | …)|#SBATCH.*|(?:srun )?[^\n`]*\bray start\b[^`\n]*|`ray job [^`]*`"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_options_a_page_names_exist(page: Path) -> None:
    text = OF_OTHERS.sub("", page.read_text("utf-8"))
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text))
    assert named - all_options() - OTHERS == set()


@pytest.mark.parametrize("page", [*PAGES, HOUSE / "examples/README.md"], ids=lambda p: p.name)
def test_links_lead_to_files(page: Path) -> None:
    assert [link for link in links(page) if not (page.parent / link).is_file()] == []


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_a_guide_links_to_guides_alone(page: Path) -> None:
    assert [link for link in links(page) if "/" in link] == []  # the others are not installed


def options_table() -> str:
    """Every choice of a training as a Markdown table, as the guide on training ends with it."""
    rows = [("option", "values", "default", "meaning"), ("---",) * 4]
    for choice in choices().values():
        text, words = choice.help, ", ".join(map(str, choice.words))
        values = ", or ".join(part for part in (words, str(text.limits or "")) if part)
        typed = f"`{choice.option}{f' {text.metavar}' if text.metavar else ''}`"
        rows.append((typed, values, text.default or "", text.text))
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows)


def test_the_guide_on_training_lists_every_choice_as_it_is_declared() -> None:
    assert options_table() in (GUIDES / "training.md").read_text("utf-8")


def test_the_readme_links_to_every_guide() -> None:
    assert {f"imgcli/guides/{topic}.md" for topic in TOPICS} <= set(links(README))


def test_the_guides_are_installed() -> None:
    settings = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["imgcli"]
    packed = {path for pattern in patterns for path in (HOUSE / "imgcli").glob(pattern)}
    assert set(GUIDES.iterdir()) <= packed
