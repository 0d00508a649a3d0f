"""How the cost of each command grows with the photos and with the classes.

    python -m tests.benchmarks.scaling             10,000 to 100,000 photos, 10 to 1,000 classes
    python -m tests.benchmarks.scaling --full      to 300,000 photos
    python -m tests.benchmarks.scaling --sizes 100000,1000000 --classes 0 --only split,check

Each command runs as a process of its own, one after the other in one project, on generated pictures
of 16 × 16 pixels that are all different. The network is tiny, and the out-of-fold predictions of
`evaluate --folds` are drawn at random and stored as if folds had been trained: what is measured is
what imgcli does with n photos, not the network. From processor seconds (user and system) and from
peak memory those of the same command on 300 photos are subtracted; the exponent b of cost = a · n^b
is fitted to the logarithms by least squares. Nothing is removed before the end. Beside this file
are `scaling.png`, the plot, and `scaling.md`, the costs.
"""

import argparse
import math
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks import machine
from tests.benchmarks.machine import Cost, cost, imgcli
from tests.benchmarks.script import options, require_quiet, save
from tests.benchmarks.timing import Goal, Result, table

SIZES = (10_000, 30_000, 100_000)  # photos, of 10 classes
CLASSES = (10, 100, 1_000)
PHOTOS = 30_000  # of so many classes
SMALL = 300  # photos, whose cost is that of the start
SIDE = 16  # pixels
GOAL = 1.05
FOLDS = 10
# After the start-up less than this is rounding: no exponent is fitted to it.
LEAST = Cost(0.3, 10.0)

TITLE = """# What photos and classes cost

Written by `python -m tests.benchmarks.scaling`, which says what is measured. Seconds of processor
time and MB at most, of whole processes; exponents with their standard errors, of what is beyond the
start; a dash where that is too little to tell.
"""
TRAIN = "train --arch 8 --image-size 8 --epochs 1 --no-pretrained --augment none"


class Step(NamedTuple):
    """A command of the project, and what is done after it."""

    name: str
    words: str
    after: Callable[[Path], object] = lambda project: None


# --- photos and predictions ----------------------------------------------------------------------


def generate(root: Path, photos: int, classes: int) -> None:
    """Class folders of pictures of noise, each class in a colour of its own."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 128, (classes, 3), np.uint8)
    for label in range(classes):
        (root / f"class-{label:04}").mkdir(parents=True)
    for start in range(0, photos, 1_000):
        noise = rng.integers(0, 128, (1_000, SIDE, SIDE, 3), np.uint8)
        for i in range(start, min(photos, start + 1_000)):
            label = i % classes
            picture = noise[i - start] + colours[label]
            with open(f"{root}/class-{label:04}/{i:07}.png", "wb") as file:
                file.write(png(picture))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of pixels (H, W, 3), not compressed: 20 µs, where a library takes 200."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 0))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def store_folds(project: Path) -> None:
    """Out-of-fold predictions of the latest run, drawn at random, as `evaluate` stores them."""
    from imgcli.files import save_arrays
    from imgcli.photos.dataset import load_dataset
    from imgcli.records import Predictions
    from imgcli.run_lookup import find_run
    from imgcli.training.cache_keys import evaluation_key

    with chdir(project):
        run = find_run()
        dataset = load_dataset(run.data, config=run.config.data)
        samples, rows = dataset.samples, dataset.split.parts["train"]
        targets, k = samples.targets[rows], len(samples.classes)
        rng, photos = np.random.default_rng(0), np.arange(len(rows))
        probs = rng.random((len(rows), k), np.float32) ** 4
        probs[photos, targets] += 2 * rng.random(len(rows), np.float32)
        probs[photos, (targets + 1) % k] += rng.random(len(rows), np.float32) / 2
        probs /= probs.sum(axis=1, keepdims=True)
        fold = rng.integers(0, FOLDS, len(rows))
        some = samples.at(rows)
        made_of = evaluation_key(run, dataset, "auto", "train", FOLDS, run.config.seed, 1)
        run.save_folds(
            [
                Predictions(
                    samples.classes,
                    rows,
                    targets,
                    probs,
                    fold,
                    some.groups,
                    some.paths,
                    "train",
                    digests=some.digests,
                )
            ],
            made_of,
        )
        folder = run.folder / "folds" / "drawn"
        folder.mkdir(parents=True)
        for f in range(FOLDS):
            held = fold == f
            confusion = np.diag(np.bincount(targets[~held], minlength=k))
            arrays = {"rows": rows[held], "probs": probs[held], "train_confusion": confusion}
            save_arrays(folder / f"fold-{f:02d}.npz", arrays)
        shutil.copytree(run.folder, "runs/other")


def put_aside(name: str) -> Callable[[Path], None]:
    """What puts aside what a step has made and no other needs.

    It is removed at the end of all: for minutes after files were removed ext4 takes up to fifteen
    times as long to make new ones (`bare_files`), which would count as the next command's cost.
    """

    def moved(project: Path) -> None:
        (project / name).rename(project.with_name(f"{project.name}-{name}"))

    return moved


STEPS = (
    Step("import", "import raw --out imported", put_aside("imported")),
    Step("split", "split raw --duplicates exact"),
    Step("check", "check raw"),
    Step("train", TRAIN),
    Step("evaluate", "evaluate", store_folds),
    Step("evaluate --folds", f"evaluate --folds {FOLDS}"),
    Step("suggest-merges", "suggest-merges"),
    Step("check --labels", "check --labels"),
    Step("report", "report"),
    Step("compare", "compare latest other"),
    Step("merge", "merge class-0000+class-0001 raw --out merged", put_aside("merged")),
    Step("predict", "predict raw --csv predictions.csv", put_aside("predictions.csv")),
    Step("runs", "runs"),
)
NEEDED = ("split", "train", "evaluate")  # by later steps
FIRST = {"import", "split", "check", "merge"}  # need no step before them


# --- costs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """The costs of one command at several sizes."""

    name: str
    of: str  # "photos" or "classes"
    start: Cost  # on SMALL photos
    costs: dict[int, Cost] = field(default_factory=dict)

    def beyond(self, what: str) -> dict[int, float]:
        """The "seconds" or "megabytes" beyond the start, by size."""
        least = getattr(self.start, what)
        return {n: getattr(one, what) - least for n, one in self.costs.items()}

    def exponent(self, what: str) -> tuple[float, float] | None:
        """b of a · n^b with its standard error, which is NaN of two sizes; None of too little."""
        found = {n: y for n, y in self.beyond(what).items() if y >= getattr(LEAST, what)}
        if len(found) < 2:
            return None
        return slope(np.log([*found]), np.log([*found.values()]))


def slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """The slope of a line by least squares, and its standard error."""
    dx, dy = x - x.mean(), y - y.mean()
    b = float(dx @ dy / (dx @ dx))
    free = len(x) - 2
    error = (
        math.sqrt(float(((dy - b * dx) ** 2).sum()) / free / float(dx @ dx)) if free else math.nan
    )
    return b, error


def costs_of(work: Path, photos: int, classes: int, only: Sequence[str]) -> dict[str, Cost]:
    """What each command costs in a project of so many photos and classes."""
    found = {}
    project = Path(mkdtemp(prefix=f"{photos}-{classes}-", dir=work))
    generate(project / "raw", photos, classes)
    for step in STEPS:
        if step.name in only or (step.name in NEEDED and not set(only) <= FIRST):
            words = imgcli(*step.words.split(), "--quiet")
            found[step.name] = cost(words, project, {"OMP_NUM_THREADS": "1"})
            step.after(project)
            one = found[step.name]
            print(
                f"{photos:,} × {classes:,} {step.name}: {one.seconds:.2f} s, "
                f"{one.megabytes:.0f} MB",
                flush=True,
            )
    return {name: one for name, one in found.items() if name in only}


def measure(
    work: Path, sizes: Sequence[int], classes: Sequence[int], only: Sequence[str]
) -> Iterator[Series]:
    """The series over the photos, then those over the classes."""
    start = costs_of(work, SMALL, 10, only)
    by_photos = {n: costs_of(work, n, 10, only) for n in sizes}
    for name in start:
        yield Series(name, "photos", start[name], {n: by_photos[n][name] for n in sizes})
    known = {10: by_photos[PHOTOS]} if PHOTOS in by_photos else {}
    by_classes = {k: known.get(k) or costs_of(work, PHOTOS, k, only) for k in classes}
    for name in start if by_classes else ():
        yield Series(name, "classes", start[name], {k: by_classes[k][name] for k in classes})


# --- what is written ------------------------------------------------------------------------------


def rows(series: Iterable[Series]) -> Iterator[Result]:
    """A row for the time and one for the memory of each series."""
    for one in series:
        for what, unit in (("seconds", "s"), ("megabytes", "MB")):
            figures = ", ".join(
                f"{getattr(c, what):,.3g} {unit} at {n:,}" for n, c in one.costs.items()
            )
            note = f"{figures}; the start {getattr(one.start, what):,.3g} {unit}"
            if one.of == "photos":
                note += f"; {per_photo(one, what)} a photo"
            found, name = one.exponent(what), "processor time" if unit == "s" else "memory"
            yield Result(
                f"`{one.name}`, exponent of {name} in {one.of}",
                () if found is None else (found[0],),
                unit="" if found is None or math.isnan(found[1]) else f"± {found[1]:.2f}",
                goal=Goal("below", GOAL),
                note=note,
            )


def costs_table(series: Sequence[Series]) -> str:
    """The costs themselves, start-up included, with the exponents beyond it."""
    lines = []
    for kind in dict.fromkeys(one.of for one in series):
        some = [one for one in series if one.of == kind]
        sizes = [f"{n:,}" for n in some[0].costs]
        head = ("command", "s, start", *(f"s, {n}" for n in sizes), "exponent")
        head += ("MB, start", *(f"MB, {n}" for n in sizes), "exponent")
        lines += [f"By {kind}:", "", f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
        for one in some:
            cells = [f"`{one.name}`"]
            for what in ("seconds", "megabytes"):
                costs = [getattr(cost, what) for cost in (one.start, *one.costs.values())]
                cells += [
                    f"{value:.1f}" if what == "seconds" else f"{value:.0f}" for value in costs
                ]
                cells.append(in_words(one.exponent(what)))
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def in_words(exponent: tuple[float, float] | None) -> str:
    if exponent is None:
        return "–"
    b, error = exponent
    return f"{b:.2f}" if math.isnan(error) else f"{b:.2f} ± {error:.2f}"


def per_photo(one: Series, what: str) -> str:
    """The cost of one photo at the largest size."""
    n, most = max(one.beyond(what).items())
    return f"{1e6 * most / n:,.0f} µs" if what == "seconds" else f"{1e3 * most / n:,.2f} kB"


def draw(series: Sequence[Series], file: Path) -> None:
    """Costs beyond the start over photos and over classes, both axes logarithmic."""
    from matplotlib.figure import Figure

    kinds = [kind for kind in ("photos", "classes") if any(one.of == kind for one in series)]
    figure = Figure(figsize=(14, 4.2 * len(kinds)), layout="constrained")
    axes = np.atleast_2d(figure.subplots(len(kinds), 2))
    for row, kind in zip(axes, kinds, strict=True):
        for place, (what, label) in zip(
            row, (("seconds", "processor seconds"), ("megabytes", "MB at most")), strict=True
        ):
            for number, one in enumerate(s for s in series if s.of == kind):
                points = {n: y for n, y in one.beyond(what).items() if y > 0}
                fitted = one.exponent(what)
                name = f"{one.name}{f' ({fitted[0]:.2f})' if fitted else ''}"
                place.plot(
                    [*points],
                    [*points.values()],
                    "osv^D"[number // 5 % 5] + "-",  # with the colour, another for each of 25
                    color=f"C{number % 5}",
                    label=name,
                    linewidth=1,
                    markersize=4,
                )
            place.set(xscale="log", yscale="log", xlabel=kind, ylabel=f"{label}, beyond the start")
            place.legend(
                loc="center left",
                bbox_to_anchor=(1, 0.5),
                fontsize=7,
                title="command (exponent)",
                title_fontsize=7,
            )
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = options(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here as well")
    parser.add_argument("--sizes", metavar="N,N", help="photos, in place of the script's own")
    parser.add_argument("--classes", metavar="K,K", help=f"classes of {PHOTOS:,} photos; 0: none")
    parser.add_argument("--only", metavar="COMMAND,…", help="commands to measure")
    parser.add_argument("--plot", type=Path, default=Path(__file__).with_suffix(".png"))
    chosen = parser.parse_args()
    names = [step.name for step in STEPS]
    only = chosen.only.split(",") if chosen.only else names
    if unknown := set(only) - set(names):
        parser.error(f"no command {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    sizes = (1_000, 3_000) if chosen.quick else (*SIZES, *((300_000,) if chosen.full else ()))
    classes: Sequence[int] = () if chosen.quick else CLASSES
    if chosen.sizes:
        sizes = tuple(int(n) for n in chosen.sizes.split(","))
    if chosen.classes:
        classes = [k for k in map(int, chosen.classes.split(",")) if k]
    require_quiet(busy=chosen.busy)
    print("\n".join([machine.title(), *machine.facts(), ""]), flush=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    with TemporaryDirectory(prefix="imgcli-scaling-", dir=chosen.work) as folder:
        series = list(measure(Path(folder), sizes, classes, only))
    results = list(rows(series))
    if chosen.json:
        save(chosen.json, results)
    draw(series, chosen.plot)
    costs = costs_table(series)
    chosen.plot.with_suffix(".md").write_text(f"{TITLE}\n{costs}", "utf-8")
    print(f"\n{table(results)}\n\n{costs}")


if __name__ == "__main__":
    main()
