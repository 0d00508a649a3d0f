"""The runs that there are, and everything about one of them, for the terminal.

`document` is that of the JSON contract of `runs`, `runs --prune` or `show`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from imgcli.report.table_records import measured, run_state
from imgcli.report.terminal.tables import number, table, text, texts
from imgcli.text import count, duration, interval, listed, megabytes, percent, printable

Document = Mapping[str, Any]


def run_table(document: Document) -> list[RenderableType]:
    """The runs with their accuracies, their data and their sizes."""
    runs = document["runs"]
    if not runs:
        lines = [f"No run in '{document['folder']}/'.", "Next: imgcli train --freeze"]
        return texts(lines)
    shown = table(
        text("run"),
        number("accuracy in %,\n95 % interval"),
        number("n"),
        text("measured on,\ndata"),
        number("size"),
    )
    for run in runs:
        found = run["accuracy"] or {"on": None}
        figure = "–"
        if run["accuracy"]:
            figure = f"{percent(found['value'], '')}\n{interval(found['ci95'], '')}"
        shown.add_row(
            _named(run),
            figure,
            f"{found['n']:,}" if run["accuracy"] else "–",
            Text(f"{measured(found)}\n{printable(run['data'] or '–')}"),
            megabytes(run["bytes"]),
        )
    total = f"{count(len(runs), 'run')}, {megabytes(document['bytes'])}."
    problems = [f"Damaged: {run['problem']}" for run in runs if run["problem"]]
    unfinished = sum(not run["finished"] and not run["training"] for run in runs)
    hint = [f"{count(unfinished, 'run')} unfinished. Remove with: imgcli runs --prune"]
    return [shown, *texts([total, *problems, *(hint if unfinished else [])])]


def _named(run: Document) -> Text:
    """A run's name, arch and date, and what is special about it."""
    marks = ["latest"] if run["latest"] else []
    marks += [state] if (state := run_state(run)) != "finished" else []
    began = datetime.fromisoformat(run["date"]).strftime("%Y-%m-%d %H:%M")
    second = ", ".join([printable(run["arch"]) or "unknown arch", began, *marks])
    return Text.assemble((printable(_name(run["run"])), "bold"), f"\n{second}")


def _name(run: str) -> str:
    return run.rpartition("/")[2]


def prune_lines(document: Document, *, done: bool) -> list[RenderableType]:
    """The runs that are, or are to be, removed; those that stay with the reasons."""
    removed, lines = document["removed"], []
    verb = "Removed" if done else "To remove"
    lines += [
        f"{verb}: {one['run']} ({run_state(one)}, {megabytes(one['bytes'])})" for one in removed
    ]
    lines += [f"Kept: {one['run']}: {one['reason']}." for one in document["left"]]
    lines += document["warnings"]
    if removed and done:
        n = count(len(removed), "run")
        lines.append(f"Removed {n}, {megabytes(document['freed'])} ({document['freed']:,} bytes).")
    elif not removed:
        lines.append("Nothing to remove.")
    return texts(lines)


# --- one run --------------------------------------------------------------------------------------


def run_page(document: Document) -> Iterator[RenderableType]:
    """Everything about one run on one screen."""
    marks = [run_state({**document, "problem": document["problems"]})]
    marks += ["latest"] if document["latest"] else []
    yield Text.assemble((printable(document["run"]), "bold"), f" ({', '.join(marks)})")
    yield from _lines(list(_facts(document)))
    yield from _lines(list(_config(document["config"])))
    done = document["done"] or ()
    yield from _lines(
        [(_time(one["time"]), f"{one['what']} ({one['file']})") for one in done], "Done with it"
    )
    files = [f"{one['name']} {_size(one['bytes'])}" for one in document["files"]]
    yield from _lines([("files", f"{megabytes(document['bytes'])}: {', '.join(files)}")])
    yield from texts([f"Damaged: {problem}" for problem in document["problems"]])


def _size(size: int) -> str:
    return megabytes(size) if size >= 100_000 else f"{size / 1e3:,.1f} kB"


def _time(time: str | None) -> str:
    if time is None:
        return "–"
    return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M")


def _facts(document: Document) -> Iterator[tuple[str, str]]:
    params, classes = document["params"] or {}, document["classes"]
    yield "arch", document["arch"]
    yield "begun", datetime.fromisoformat(document["date"]).strftime("%Y-%m-%d %H:%M")
    if params:
        yield "parameters", f"{params['trainable']:,} of {params['total']:,} trained"
    if document["seconds"]:
        yield "training", duration(document["seconds"])
    if document["input"]:
        yield "input", document["input"]
    if document["starts_from"]:
        yield "starts from", document["starts_from"]
    photos = "" if document["photos"] is None else f", {count(document['photos'], 'photo')}"
    gone = "" if document["data_there"] else " (not there now)"
    yield "data", f"{document['data']}{photos}{gone}"
    if classes:
        yield "classes", f"{len(classes):,}: {listed(classes)}"
    for one in document["accuracies"] or ():
        within = f"95 % interval {interval(one['ci95'])}; " if one["ci95"] else ""
        yield "accuracy", f"{percent(one['value'])} ({within}n = {one['n']:,}, {measured(one)})"
    if document["temperature"] is not None:
        yield "calibration", f"temperature {document['temperature']:.3g}"


def _config(config: Document) -> Iterator[tuple[str, str]]:
    if config["asked"] is not None:
        yield "asked for", config["options"] or "nothing"
    settled = {key: value for key, value in config["settled"].items() if value not in (None, {})}
    title = "by default" if config["asked"] is not None else "config"
    yield title, ", ".join(f"{key} {_value(value)}" for key, value in settled.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={one}" for key, one in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _lines(rows: list[tuple[str, str]], title: str = "") -> Iterator[RenderableType]:
    """Names and values, the values wrapped beside the names."""
    from rich.table import Table

    if not rows:
        return
    if title:
        yield Text(title)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, Text(printable(value)))
    yield grid
