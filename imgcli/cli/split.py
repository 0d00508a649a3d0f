"""`imgcli split`: train, test and validation parts from a folder of class folders."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from imgcli.cli.options import Force, Json, Quiet

if TYPE_CHECKING:
    from rich.console import RenderableType

    from imgcli.photos.split import SplitResult


Raw = Annotated[Path, typer.Argument(help="Folder of class folders. Nothing in it is changed.")]
Ratio = Annotated[
    float | None,
    typer.Option(
        "--ratio",
        show_default="0.9",
        help="Share of each class's photos that is not test, between 0 and 1.",
    ),
]
Val = Annotated[
    float | None,
    typer.Option(
        "--val",
        metavar="R",
        show_default=False,
        help="Share of each class's photos for validation, taken out of train.",
    ),
]
# None and not 0: with --update what is not given stays as the dataset was split before.
Seed = Annotated[
    int | None,
    typer.Option("--seed", show_default="0", help="Everything random follows from this number."),
]
Out = Annotated[Path, typer.Option("--out", help="Dataset folder to make.")]
Linked = Annotated[
    Literal["auto", "hard", "symlink", "copy"] | None,
    typer.Option(
        "--link",
        show_default="auto",
        help="How photos get their second place; auto: hard links, copies where there are none.",
    ),
]
Duplicates = Annotated[
    Literal["near", "exact", "off"] | None,
    typer.Option(
        "--duplicates",
        show_default="near",
        help="Which photos stay on one side together: those that show the same (near), those with "
        "the same bytes (exact), none (off).",
    ),
]
Update = Annotated[
    bool,
    typer.Option(
        "--update", help="Deal the photos added to RAW; none that was placed before moves."
    ),
]


def split(
    raw: Raw = Path("raw"),
    ratio: Ratio = None,
    val: Val = None,
    seed: Seed = None,
    out: Out = Path("dataset"),
    link: Linked = None,
    duplicates: Duplicates = None,
    update: Update = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Deal photos into train and test, class by class, duplicates kept together.

    Makes OUT/train and OUT/test with one folder per class, of hard links by
    default, which take no space. Each class comes within one photo of the
    ratio. The same photos and seed give the same parts on every machine.
    OUT/split.json remembers where each photo came from.

    Examples:

      imgcli split raw/ --ratio 0.9

      imgcli split raw/ --update
    """
    from imgcli.progress import be_quiet

    be_quiet(quiet)
    split_and_show(
        raw,
        out,
        json=json,
        ratio=ratio,
        val=val,
        seed=seed,
        link=link,
        duplicates=duplicates,
        update=update,
        force=force,
    )


def split_and_show(raw: Path, out: Path, *, json: bool = False, **choices: Any) -> None:
    """Split with those choices of `split_folder` and print what came of it."""
    from imgcli.cli.console import show, show_json
    from imgcli.photos.split import split_folder
    from imgcli.progress import note
    from imgcli.text import printable

    result = split_folder(raw, out, **choices)
    if not json:
        show(*_renderables(result, raw))
        return
    show_json(_document(result))
    for sentence in result.notes:
        note(printable(sentence))


def _document(result: "SplitResult") -> dict[str, object]:
    return {
        "out": str(result.out),
        "seed": result.seed,
        "ratio": result.ratio,
        "classes": result.classes,
        "groups_kept_together": result.groups_kept_together,
        "rejected": [{"path": r.path, "reason": r.reason} for r in result.rejected],
    }


def _renderables(result: "SplitResult", raw: Path) -> "list[RenderableType]":
    """The result for people: the parts of each class, what was odd, and what to type next."""
    from shlex import quote

    from rich.text import Text

    from imgcli.cli.collected import first
    from imgcli.text import printable

    lines = [
        f"Groups of duplicates kept together: {result.groups_kept_together:,}.",
        *result.notes,
    ]
    if result.rejected:
        lines.append(f"Rejected, and left in '{raw}': {len(result.rejected):,}.")
        lines += first([f"{r.path}: {r.reason}" for r in result.rejected])
    data = "" if result.out == Path("dataset") else f" --data {quote(str(result.out))}"
    lines.append(f"Next: imgcli train --arch resnet101 --freeze{data}")
    return [_table(result), *(Text(printable(line)) for line in lines)]


def _table(result: "SplitResult") -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    from imgcli.text import printable

    parts = list(next(iter(result.classes.values())))
    table = Table(
        "class", title=Text(f"Photos in {printable(str(result.out))}"), title_justify="left"
    )
    for name in (*parts, "total"):
        table.add_column(name, justify="right")
    for name, n in result.classes.items():
        numbers = [n[part] for part in parts]
        table.add_row(Text(printable(name)), *(f"{m:,}" for m in (*numbers, sum(numbers))))
    table.add_section()
    totals = [sum(n[part] for n in result.classes.values()) for part in parts]
    table.add_row(f"{len(result.classes)} classes", *(f"{m:,}" for m in (*totals, sum(totals))))
    return table
