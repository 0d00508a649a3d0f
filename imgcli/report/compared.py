"""Compared runs: the label of each by its choices, and its difference to the most accurate one."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from imgcli.report.plots import style

Document = Mapping[str, Any]  # of `compare --json`

COMPARED = ("accuracy", "macro_precision")  # the figures that are tested


def labels(document: Document) -> dict[str, str]:
    """Each run's arch and its uncommon choices, by its folder.

    A choice that more than half of the runs have made is left out, and so is one that followed from
    others, unless the runs are alike without it. Runs that differ in nothing get their folders.
    """
    runs = document["runs"]
    made = Counter((name, repr(v)) for run in runs for name, v in run["options"].items())

    def label(run: Mapping[str, Any], choices: Collection[str]) -> str:
        uncommon = [
            _choice(name, value)
            for name, value in run["options"].items()
            if name in choices
            and name != "precision"  # decided by measured speed
            and value is not None
            and 2 * made[name, repr(value)] <= len(runs)
        ]
        return ", ".join([run["arch"], *uncommon])

    found = {run["run"]: label(run, run["asked"]) for run in runs}
    for more in ({run["run"]: label(run, run["options"]) for run in runs}, _with_folders(found)):
        alike = {text for text, n in Counter(found.values()).items() if n > 1}
        found = {run: more[run] if text in alike else text for run, text in found.items()}
    return found


def _with_folders(names: Mapping[str, str]) -> dict[str, str]:
    return {run: f"{text}, {folder_of(run)}" for run, text in names.items()}


def folder_of(run: str) -> str:
    return run.rpartition("/")[2]


def _choice(name: str, value: Any) -> str:
    """A choice in words: "dropout 0.5", "freeze", "no pretrained", a file by its name."""
    words = name.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    if isinstance(value, Mapping):
        return f"{words} {', '.join(f'{key}={v}' for key, v in value.items())}"
    if name == "weights":
        return f"{words} {folder_of(value)}"
    return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"


def short_labels(names: Sequence[str], most: int) -> list[str]:
    """Labels as a figure writes them: at most `most` characters, of whole choices and then "…".

    Where two would read the same, their positions follow.
    """
    cut = [_whole_choices(name, most - len(f" ({len(names)})")) for name in names]
    times = Counter(cut)
    numbered = [
        text if times[text] == 1 else f"{text} ({number})" for number, text in enumerate(cut, 1)
    ]
    return style.labels(numbered, most)


def _whole_choices(label: str, most: int) -> str:
    """As many of its choices as have room; the label itself where not even its arch has."""
    head, *_ = label[: most - 1].rpartition(", ")
    return label if len(label) <= most or not head else f"{head}, …"


def against_best(document: Document, figure: str) -> dict[str, dict[str, Any]]:
    """How far the figure of each other run lies above that of the most accurate run, by folder."""
    found = {}
    for pair in document["pairs"]:
        best, other = pair["runs"]
        if best == document["best"]:
            low, high = pair[figure]["ci95"]
            turned = {"difference": -pair[figure]["difference"], "ci95": (-high, -low)}
            found[other] = {**pair[figure], **turned}
    return {run["run"]: found[run["run"]] for run in document["runs"] if run["run"] in found}
