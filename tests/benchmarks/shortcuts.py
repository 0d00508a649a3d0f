"""Marks that give a class away: how many planted ones `check` finds, and how often it is wrong.

    python -m tests.benchmarks.shortcuts --quick

A mark of 6 to 16 % of the short side is planted in all photos of one class, drawn at random. False
alarms are counted on draws of 2 to 10 classes of 12 to 100 photos, as they are.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from imgcli.photos.fingerprint import SIDE
from imgcli.photos.resize import resize
from imgcli.photos.shortcuts import find_shortcuts
from tests.benchmarks.material import Photos
from tests.benchmarks.script import Setting, main
from tests.benchmarks.timing import Goal, Result

CORNERS = ("top left", "top right", "bottom left", "bottom right")
SIZES = (0.06, 0.09, 0.12, 0.16)
VISIBLE = ("square", "dot", "half transparent", "date stamp")
KINDS = (*VISIBLE, "white", "transparent text", "frame", "bar")
FRAMED = {"Leopards", "accordion"}  # in caltech30: frames, and black corners of turned photos


def measure(setting: Setting) -> Iterator[Result]:
    photos = setting.material.photos(*((400, 8) if setting.quick else ()))
    yield from planted(photos, setting.rounds(200))
    per_set = 4 if setting.quick else 300
    pictures, digits = setting.material.pictures(1_000), setting.material.digits(1_000)
    for one in (photos, pictures, digits):
        yield false_alarms(one, per_set)


def planted(photos: Photos, rounds: int) -> Iterator[Result]:
    """One mark per round; found if its class is named with its place."""
    rng = np.random.default_rng(0)
    labels = np.array([file.parent.name for file in photos.files])
    clean = np.stack([thumbnail(opened(file)) for file in photos.files])
    classes = sorted({*labels.tolist()} - FRAMED)
    found: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for _ in range(rounds):
        kind, size = str(rng.choice(KINDS)), float(rng.choice(SIZES))
        label, corner = str(rng.choice(classes)), int(rng.integers(4))
        pictures = clean.copy()
        for i in np.flatnonzero(labels == label):
            pictures[i] = thumbnail(marked(opened(photos.files[i]), kind, corner, size, rng))
        named = find_shortcuts(pictures, labels.tolist(), np.arange(len(labels)))
        tried[kind] += 1
        wanted = {"frame": "frame around the photo", "bar": "bottom edge"}
        place = wanted.get(kind, f"{CORNERS[corner]} corner")
        found[kind] += any((one.label, one.place) == (label, place) for one in named)
    shares = ", ".join(f"{kind} {found[kind]} of {n}" for kind, n in sorted(tried.items()))
    n = sum(tried[kind] for kind in VISIBLE)
    if n:
        missed = 1 - sum(found[kind] for kind in VISIBLE) / n
        goal = Goal("below", 0.05)
        work = f"share of {n} visible corner marks that is missed, {photos}"
        yield Result(work, (missed,), unit="", goal=goal, note=shares)


def false_alarms(photos: Photos, draws: int) -> Result:
    """Draws of some classes and photos without a mark in which one is reported."""
    rng = np.random.default_rng(1)
    files = [file for file in photos.files if file.parent.name not in FRAMED]
    labels = np.array([file.parent.name for file in files])
    pictures = np.stack([thumbnail(opened(file)) for file in files])
    alarms = []
    for _ in range(draws):
        names = np.unique(labels)
        k, n = min(int(rng.choice([2, 3, 5, 10])), len(names)), int(rng.choice([12, 25, 50, 100]))
        drawn = rng.choice(names, k, replace=False)
        rows = np.concatenate([rng.permutation(np.flatnonzero(labels == one))[:n] for one in drawn])
        named = find_shortcuts(pictures[rows], labels[rows].tolist(), np.arange(len(rows)))
        alarms.append(bool(named))
    return Result(
        f"share of {draws} draws with a false alarm, {photos}",
        (float(np.mean(alarms)),),
        unit="",
        goal=Goal("below", 0.02),
    )


def opened(file: Path) -> Image.Image:
    with Image.open(file) as photo:
        return photo.convert("RGB")


def thumbnail(photo: Image.Image) -> NDArray[np.uint8]:
    return resize(photo, (SIDE, SIDE), "bilinear")


def marked(
    photo: Image.Image, kind: str, corner: int, size: float, rng: np.random.Generator
) -> Image.Image:
    """The photo with a mark in a corner, along the bottom, or around it."""
    width, height = photo.size
    side = max(3, int(size * min(photo.size)))
    gap, draw = max(1, side // 6), ImageDraw.Draw(photo, "RGBA")
    text = {"date stamp": f"'{rng.integers(90, 100)} {rng.integers(1, 13)}", "transparent text":
            "© STOCK"}.get(kind)  # fmt: skip
    font = ImageFont.load_default(max(8, int(0.6 * side)))
    box = draw.textbbox((0, 0), text, font=font) if text else (0, 0, side, side)
    x = gap if corner % 2 == 0 else width - gap - int(box[2])
    y = gap if corner < 2 else height - gap - int(box[3])
    match kind:
        case "square" | "white" | "half transparent":
            fill = {"square": (255, 0, 0, 255), "white": (255, 255, 255, 255)}
            draw.rectangle((x, y, x + side, y + side), fill=fill.get(kind, (255, 255, 0, 110)))
        case "dot":
            draw.ellipse((x, y, x + side, y + side), fill=(0, 90, 255, 255))
        case "frame":
            line = max(2, int(0.3 * side))
            draw.rectangle((0, 0, width - 1, height - 1), outline=(20, 160, 60, 255), width=line)
        case "bar":
            draw.rectangle((0, height - max(2, side // 2), width, height), fill=(0, 0, 0, 255))
        case _:
            fill_of = {"date stamp": (255, 140, 0, 255)}.get(kind, (255, 255, 255, 170))
            draw.text((x, y), str(text), font=font, fill=fill_of)
    return photo


if __name__ == "__main__":
    main(measure, __doc__)
