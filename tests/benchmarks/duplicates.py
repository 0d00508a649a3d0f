"""Near-duplicates: how many planted copies are found, how many photos wrongly, how fast.

    python -m tests.benchmarks.duplicates --quick

The copies are made as people make them: half the size, JPEG of quality 40, 5 % off the sides,
mirrored, turned by EXIF; as many of each, of photos drawn at random, all among the other photos.
"""

import io
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from PIL.Image import Transpose

from imgcli.photos.candidates import candidates, survey
from imgcli.photos.decode import ORIENTATION
from imgcli.photos.hashing import digest_files
from imgcli.photos.near_duplicates import duplicate_groups, fingerprint_files
from tests.benchmarks.machine import run
from tests.benchmarks.material import Photos
from tests.benchmarks.script import Setting, main
from tests.benchmarks.timing import Goal, Result, alternate, repeat

PEER = "imagededup's PHash"
PEER_SEARCH = """
import sys
from imagededup.methods import PHash
PHash(verbose=False).find_duplicates(
    image_dir=sys.argv[1], recursive=True, num_enc_workers=2, num_dist_workers=2)
"""
OURS = """
import sys
from pathlib import Path
from imgcli.photos.hashing import digest_files
from imgcli.photos.near_duplicates import duplicate_groups
from imgcli.photos.layout import find_photos
files = [f"{sys.argv[1]}/{path}" for path in find_photos(Path(sys.argv[1])).photos]
cache = Path("cache")
duplicate_groups(files, digest_files(files, cache), "near", cache)
"""


def measure(setting: Setting) -> Iterator[Result]:
    photos = setting.material.photos(*((200, 5) if setting.quick else ()))
    pictures = setting.material.pictures(1_000 if setting.quick else 30_000)
    yield from planted(photos, 50 if setting.quick else 500, setting.work)
    yield speed(photos, setting)
    yield search(pictures, setting)


def planted(photos: Photos, copies: int, work: Path) -> Iterator[Result]:
    """Copies of some photos among all of them."""
    files, digests = list(photos.files), [str(d) for d in digest_files(photos.files, work)]
    alone, _ = duplicate_groups(files, digests, "near", work / "cache")
    rng = random.Random(0)
    originals = rng.sample(range(len(files)), min(copies, len(files)))
    folder = work / "planted"
    folder.mkdir()
    kinds = [list(CHANGES)[i % len(CHANGES)] for i in range(len(originals))]
    made = []
    for number, (original, kind) in enumerate(zip(originals, kinds, strict=True)):
        made.append(folder / f"{number:03}.jpg")
        with Image.open(files[original]) as photo:
            made[-1].write_bytes(CHANGES[kind](photo.convert("RGB")))
    together = [*files, *made]
    groups, _ = duplicate_groups(
        together, [str(d) for d in digest_files(together, work)], "near", work / "cache"
    )
    found = [groups[len(files) + i] == groups[original] for i, original in enumerate(originals)]
    by_kind = {k: [ok for ok, kind in zip(found, kinds, strict=True) if kind == k] for k in CHANGES}
    yield Result(
        f"share of {len(found)} planted copies that is missed, {photos}",
        (1 - float(np.mean(found)),),
        unit="",
        goal=Goal("below", 0.02),
        note="found: " + ", ".join(f"{k} {sum(v)} of {len(v)}" for k, v in by_kind.items() if v),
    )
    yield Result(
        f"share of photos that the copies brought together with another, {photos}",
        (brought_together(alone, groups[: len(files)]),),
        unit="",
        goal=Goal("below", 0.005),
        note=f"without them {len(files) - len(set(alone.tolist()))} photos are grouped with a "
        "photo before them: look at these with `imgcli check`",
    )


def brought_together(before: Sequence[int], after: Sequence[int]) -> float:
    """The share of photos whose group has a photo that their group did not have before."""
    pairs: dict[int, set[int]] = {}
    for old, new in zip(before, after, strict=True):
        pairs.setdefault(int(new), set()).add(int(old))
    return float(np.mean([len(pairs[int(new)]) > 1 for new in after]))


def saved(photo: Image.Image, quality: int = 90, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality, exif=exif)
    return file.getvalue()


def cropped(photo: Image.Image) -> Image.Image:
    """5 % of each side's length off, half of it at either end."""
    across, down = (round(0.025 * side) for side in photo.size)
    return photo.crop((across, down, photo.width - across, photo.height - down))


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "half the size": lambda photo: saved(photo.resize((photo.width // 2, photo.height // 2))),
    "quality 40": lambda photo: saved(photo, quality=40),
    "5 % cropped": lambda photo: saved(cropped(photo)),
    "mirrored": lambda photo: saved(ImageOps.mirror(photo)),
    "turned by EXIF": lambda photo: saved(photo.transpose(Transpose.ROTATE_90), orientation=6),
}


def speed(photos: Photos, setting: Setting) -> Result:
    """Whole processes, from files to groups, nothing in a cache."""
    contenders = {
        "imgcli": lambda folder: run([sys.executable, "-c", OURS, str(photos.root)], folder)
    }
    if find_spec("imagededup"):
        peer = [sys.executable, "-c", PEER_SEARCH, str(photos.root)]
        contenders[PEER] = lambda folder: run(peer, folder)
    seconds = alternate(contenders, setting.rounds(3), setting.work)
    return Result(
        f"near-duplicates from files, {photos}",
        seconds["imgcli"],
        seconds.get(PEER, ()),
        PEER if PEER in seconds else f"{PEER} is not installed",
        "photos/s",
        len(photos),
        Goal("faster", 3.0),
        "imgcli leaves every photo at 224 pixels for training as well",
    )


def search(pictures: Photos, setting: Setting) -> Result:
    """The search for pairs alone, by hashes of the sketches."""
    files, digests = (
        list(pictures.files),
        [str(d) for d in digest_files(pictures.files, setting.work)],
    )
    sketches = fingerprint_files(files, digests, setting.work / "sketched").fingerprints
    order = sketches.order

    def find(folder: Path) -> None:
        candidates(sketches, survey(sketches, order), order)

    return Result(
        f"search for pairs by hashes, {pictures}",
        repeat(find, setting.rounds(3), setting.work),
        goal=Goal("below", 1.0),
    )


if __name__ == "__main__":
    main(measure, __doc__)
