"""Which copies hide from the search for near-duplicates: a table of kinds, with n and intervals.

    python -m tests.benchmarks.hidden_copies --photos FOLDER

Photos of FOLDER (class folders) are drawn at random; of each kind the same number of copies is made
and put among all of them. A copy is found if it is in its original's group. The first two kinds are
controls, which are expected to be found.
"""

import argparse
import io
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from imgcli.evaluation.metrics import wilson_interval
from imgcli.photos.hashing import digest_files
from imgcli.photos.layout import find_photos
from imgcli.photos.near_duplicates import duplicate_groups
from imgcli.records import IntArray
from tests.benchmarks.duplicates import brought_together

GOAL = 0.9  # share of each kind to be found
GREY = (128, 128, 128)

Change = Callable[[Image.Image, random.Random], Image.Image]


def recompressed(photo: Image.Image, rng: random.Random) -> Image.Image:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=50)
    return Image.open(file).convert("RGB")


def mirrored(photo: Image.Image, rng: random.Random) -> Image.Image:
    return ImageOps.mirror(photo)


def text_bar(photo: Image.Image, rng: random.Random) -> Image.Image:
    """A black bar with a caption over the lowest 15 %."""
    made, top = photo.copy(), round(0.85 * photo.height)
    draw = ImageDraw.Draw(made)
    draw.rectangle((0, top, made.width, made.height), fill="black")
    size = max(6, round(0.1 * made.height))
    draw.text((4, top), "A caption under it", fill="white", font_size=size)
    return made


def turned_slightly(photo: Image.Image, rng: random.Random) -> Image.Image:
    """By 3°, on grey."""
    angle = rng.choice((-3, 3))
    return photo.rotate(angle, Image.Resampling.BICUBIC, fillcolor=GREY)


def cropped(photo: Image.Image, rng: random.Random) -> Image.Image:
    """The middle 80 % of each side."""
    across, down = round(0.1 * photo.width), round(0.1 * photo.height)
    return photo.crop((across, down, photo.width - across, photo.height - down))


def cropped_at_a_corner(photo: Image.Image, rng: random.Random) -> Image.Image:
    """90 % of each side, from one corner."""
    across, down = round(0.1 * photo.width), round(0.1 * photo.height)
    left, top = rng.choice((0, across)), rng.choice((0, down))
    return photo.crop((left, top, left + photo.width - across, top + photo.height - down))


def watermarked(photo: Image.Image, rng: random.Random) -> Image.Image:
    """White words across the middle, half transparent."""
    layer = Image.new("RGBA", photo.size)
    size = max(8, round(0.14 * photo.width))
    middle = (photo.width // 2, photo.height // 2)
    draw = ImageDraw.Draw(layer)
    draw.text(middle, "STOCK PHOTO", fill=(255, 255, 255, 128), anchor="mm", font_size=size)
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def bordered(photo: Image.Image, rng: random.Random) -> Image.Image:
    """White around it, 6 % of the longer side."""
    return ImageOps.expand(photo, round(0.06 * max(photo.size)), "white")


def brightened(photo: Image.Image, rng: random.Random) -> Image.Image:
    """Values times 1.3, cut off at 255."""
    return photo.point(lambda value: min(255, round(1.3 * value)))


def augmented(photo: Image.Image, rng: random.Random) -> Image.Image:
    """Turned by any angle, mirrored half of the time."""
    made = ImageOps.mirror(photo) if rng.random() < 0.5 else photo
    return made.rotate(rng.uniform(0, 360), Image.Resampling.BICUBIC, fillcolor=GREY)


CONTROLS: dict[str, Change] = {"quality 50 (control)": recompressed, "mirrored (control)": mirrored}
HIDDEN: dict[str, Change] = {
    "text bar, lowest 15 %": text_bar,
    "turned by 3°": turned_slightly,
    "cropped to the middle 80 %": cropped,
    "cropped at a corner, 10 %": cropped_at_a_corner,
    "watermark across": watermarked,
    "border, 6 %": bordered,
    "brighter by 1.3": brightened,
    "any angle, mirrored or not": augmented,
}


class Outcome(NamedTuple):
    """What the search finds among photos and planted copies."""

    found: dict[str, int]  # copies in their original's group, by kind
    each: int  # copies of each kind
    brought_together: float  # share of the photos that copies joined with another photo
    cpu_seconds: float  # of the search among photos and copies, files already hashed


def measured(files: Sequence[Path], each: int, work: Path, seed: int = 0) -> Outcome:
    """Plant copies of each kind in an empty folder, among the files, and look for them.

    Args:
        each: copies of a kind, fewer where there are not as many photos: no photo has two copies,
            of which one would be found by the other.
    """
    rng = random.Random(seed)
    changes = {**CONTROLS, **HIDDEN}
    each = min(each, len(files) // len(changes))
    drawn = rng.sample(range(len(files)), each * len(changes))
    made, original, kinds = [], [], []
    for number, (kind, change) in enumerate(changes.items()):
        for i in drawn[number * each : (number + 1) * each]:
            made.append(work / f"{len(made):05}.jpg")
            with Image.open(files[i]) as photo:
                change(photo.convert("RGB"), rng).save(made[-1], "JPEG", quality=90)
            original.append(i)
            kinds.append(kind)
    alone = _groups(files, work)
    together = [*files, *made]
    digests = [str(digest) for digest in digest_files(together, work)]
    begin = time.process_time()
    groups, _ = duplicate_groups(together, digests, "near", work / "cache of both")
    cpu = time.process_time() - begin
    hits = groups[len(files) :] == groups[np.array(original)]
    found = {
        k: int(sum(h for h, kind in zip(hits, kinds, strict=True) if kind == k)) for k in kinds
    }
    return Outcome(found, each, brought_together(alone, groups[: len(files)]), cpu)


def _groups(files: Sequence[Path], work: Path) -> IntArray:
    digests = [str(digest) for digest in digest_files(files, work)]
    return duplicate_groups(files, digests, "near", work / "cache")[0]


def table(outcome: Outcome) -> str:
    """A line per kind: how many are found, with the 95 % interval of Wilson."""
    lines = [f"| copies | found of {outcome.each} | 95 % interval | goal |", "|---|---|---|---|"]
    for kind, hits in outcome.found.items():
        low, high = wilson_interval(hits / outcome.each, outcome.each)
        reached = "reached" if hits >= GOAL * outcome.each else "missed"
        lines.append(f"| {kind} | {hits} | {100 * low:.0f}–{100 * high:.0f} % | {reached} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="class folders")
    parser.add_argument("--each", type=int, default=200, help="copies of each kind")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    files = [asked.photos / path for path in find_photos(asked.photos).photos]
    with TemporaryDirectory() as folder:
        outcome = measured(files, asked.each, Path(folder), asked.seed)
    print(table(outcome))
    print(
        f"\n{len(files):,} photos; copies joined {100 * outcome.brought_together:.2f} % of them "
        f"with another photo; {outcome.cpu_seconds:.0f} CPU seconds for photos and copies."
    )


if __name__ == "__main__":
    main()
