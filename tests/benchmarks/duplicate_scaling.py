"""Near-duplicates among up to a million photos, without a file: time, memory, recall, collisions.

    python -m tests.benchmarks.duplicate_scaling --kind small --sizes 10000,30000,100000

Fingerprints are drawn from those of real photos: each is a real one in one of its eight turns,
mixed with 18 to 40 % of another in another turn, so that no two are the same picture while what
decides the search, the spread of the descriptors and of the tolerances, stays near that of the real
photos; the first table says how near. They are on disk, as the user's are. Planted among them are
copies: resized, compressed, mirrored, turned by 90°, grey, 5 % cropped.

Each size is a process of its own, whose CPU seconds and peak memory are printed, and the exponents
that fit them.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from imgcli.photos import candidates as search
from imgcli.photos.fingerprint import LENGTH, Fingerprints, fingerprint_of, thumbnails
from imgcli.photos.hashing import digest_files
from imgcli.photos.links import Comparison, join
from imgcli.photos.near_duplicates import StoredFingerprints, fingerprint_files
from imgcli.photos.row_cache import RowStore
from tests.benchmarks import machine
from tests.benchmarks.material import SHARED, Material

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
PLANTED = 500  # copies
CHUNK = 4096  # fingerprints drawn at once
MIX = (0.18, 0.4)  # share of the other photo: as many pairs by chance as among real ones


# --- the photos ---------------------------------------------------------------------------------


def real(kind: str, data: Path, work: Path) -> Fingerprints:
    """Fingerprints of real photos."""
    material = Material(data, work)
    photos = {"photos": material.photos, "small": material.pictures, "digits": material.digits}
    files = list(photos[kind]().files)
    digests = [str(digest) for digest in digest_files(files, work / "cache")]
    found = fingerprint_files(files, digests, work / "cache")
    return found.fingerprints[np.arange(len(found.fingerprints))]


def drawn(own: Fingerprints, n: int, seed: int) -> Fingerprints:
    """Fingerprints that look like the real ones, no two of one picture."""
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, len(own), (2, n))
    a, b = (turned(thumbnails(own[rows]), rng.integers(0, 8, n)) for rows in (one, other))
    share = rng.uniform(*MIX, (n, 1, 1, 1)).astype(np.float32)
    mixed = a + share * (b.astype(np.float32) - a)
    # A mixture is paler than either: each gets the contrast of the photo that it is made from.
    deviation = [x.std((1, 2, 3), keepdims=True) for x in (a, mixed)]
    mean = mixed.mean((1, 2, 3), keepdims=True)
    mixed = mean + (mixed - mean) * deviation[0] / np.maximum(deviation[1], 1)
    rows = np.empty((n, LENGTH), np.uint8)
    rows[:, 0] = own[one, 0]
    rows[:, 1:] = np.rint(mixed).clip(0, 255).reshape(n, -1)
    return rows


def turned(pictures: NDArray[np.uint8], turns: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Pictures (N, SIDE, SIDE, 3), each in one of the eight orientations."""
    out = np.empty_like(pictures)
    for turn in range(8):
        some = pictures[turns == turn]
        some = some.swapaxes(1, 2) if turn & 4 else some
        some = some[:, :, ::-1] if turn & 2 else some
        out[turns == turn] = some[:, ::-1] if turn & 1 else some
    return out


def copies(rows: Fingerprints) -> Fingerprints:
    """A copy of each photo, made from its thumbnail at 160 pixels, of all kinds in turn."""
    made = []
    for i, (row, picture) in enumerate(zip(rows, thumbnails(rows), strict=True)):
        kind = list(CHANGES)[i % len(CHANGES)]
        large = Image.fromarray(picture).resize((160, 160), Image.Resampling.BICUBIC)
        copy = fingerprint_of(CHANGES[kind](large).convert("RGB"))
        copy[0] = row[0]
        made.append(copy)
    return np.stack(made)


def compressed(photo: Image.Image) -> Image.Image:
    file = BytesIO()
    photo.save(file, "JPEG", quality=40)
    return Image.open(file)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": lambda photo: photo.resize((96, 96), Image.Resampling.LANCZOS),
    "quality 40": compressed,
    "mirrored": ImageOps.mirror,
    "turned by 90°": lambda photo: photo.transpose(Image.Transpose.ROTATE_90),
    "grey": lambda photo: photo.convert("L"),
    "5 % cropped": lambda photo: photo.crop((4, 4, 156, 156)),
}


# --- one size -----------------------------------------------------------------------------------


def draw(kind: str, n: int, work: Path) -> None:
    """Write n fingerprints, the last PLANTED of the first chunk copies of its first."""
    own = np.load(work / f"{kind}.npy", mmap_mode="r")
    store = RowStore(work / f"store-{n}", (LENGTH,), "uint8")
    for start in range(0, n, CHUNK):
        rows = drawn(own, min(CHUNK, n - start), start)
        if start == 0:
            rows[-PLANTED:] = copies(rows[:PLANTED])
        store.append(_keys(start, start + len(rows)), rows)


def _keys(start: int, stop: int) -> list[str]:
    """As random as SHA-256 is, and none twice."""
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(start, stop)]


def one_size(n: int, work: Path) -> dict[str, Any]:
    """Search the n photos that were drawn, in this process."""
    start = _megabytes()
    store = RowStore(work / f"store-{n}", (LENGTH,), "uint8")
    seconds: dict[str, float] = {}

    def took(name: str, since: float) -> float:
        now = time.process_time()
        seconds[name] = now - since
        return now

    first = min(CHUNK, n) - PLANTED
    planted = [list(CHANGES)[i % len(CHANGES)] for i in range(PLANTED)]
    begun = at = time.process_time()
    stored = StoredFingerprints(store, store.rows(_keys(0, n)))  # checks each row
    at = took("cache", at)
    before = _megabytes()
    order = stored.order
    known = search.survey(stored, order)
    at = took("survey", at)
    pairs = search.candidates(stored, known, order)
    at = took("search", at)
    comparison = Comparison(stored, known.tolerance, order)
    links = comparison.links(pairs)
    at = took("comparing", at)
    groups = join(links, n, comparison.resemble)
    took("joining", at)
    found = groups[first : first + PLANTED] == groups[:PLANTED]
    alone = np.ones(n, bool)
    alone[first : first + PLANTED] = False
    return {
        "n": n,
        "seconds": seconds,
        "total": time.process_time() - begun,
        "cache": before - start,
        "megabytes": _megabytes() - start,
        "pairs": len(pairs) / n,
        "links": len(links) / n,
        "wrong": n - PLANTED - len(np.unique(groups[alone])),
        "found": {
            change: [
                int(found[[k == change for k in planted]].sum()),
                sum(k == change for k in planted),
            ]
            for change in CHANGES
        },
    }


def _megabytes() -> float:
    """The most memory that this process has had."""
    status = Path("/proc/self/status").read_text()  # ru_maxrss has that of the parent process
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1e3


# --- all sizes ----------------------------------------------------------------------------------


def likeness(own: Fingerprints) -> str:
    """How the drawn photos compare with the real ones, in what decides the search."""
    lines = [
        "| photos | n | dimensions of the descriptors | median tolerance | links | "
        "pairs not linked | of all pairs of photos |",
        "|---|---|---|---|---|---|---|",
    ]
    pick = np.random.default_rng(1).permutation(len(own))
    for name in ("real", "drawn"):
        for n in (len(own) // 8, len(own) // 3, len(own)):
            some = own[pick[:n]] if name == "real" else drawn(own, n, n)
            order = np.arange(n)
            known = search.survey(some, order)
            values = np.linalg.eigvalsh(np.cov(known.uncut.T))
            pairs = search.candidates(some, known, order)
            links = len(Comparison(some, known.tolerance, order).links(pairs))
            lines.append(
                f"| {name} | {n:,} | {values.sum() ** 2 / (values**2).sum():.1f} | "
                f"{np.median(known.tolerance):.3f} | {links:,} | {len(pairs) - links:,} | "
                f"{(len(pairs) - links) / (n * (n - 1) / 2):.1e} |"
            )
    return "\n".join(lines)


def exponent(sizes: Sequence[float], values: Sequence[float]) -> str:
    """The exponent of a power law, with the standard error of its fit."""
    if len(sizes) < 2:
        return "–"
    x, y = np.log(sizes), np.log(np.maximum(values, 1e-9))
    slope, offset = np.polyfit(x, y, 1)
    error = np.sqrt(
        ((y - slope * x - offset) ** 2).sum() / max(1, len(x) - 2) / ((x - x.mean()) ** 2).sum()
    )
    return f"{slope:.2f} ± {error:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=SHARED, metavar="PATH")
    parser.add_argument("--kind", default="small", choices=("photos", "small", "digits"))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep the photos here")
    parser.add_argument("--json", type=Path, metavar="FILE")
    for step in ("--draw", "--one"):
        parser.add_argument(step, type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one_size(asked.one, asked.work)))
        return
    if asked.draw:
        return draw(asked.kind, asked.draw, asked.work)
    print("\n".join([machine.title(), *machine.facts(), ""]), flush=True)
    with TemporaryDirectory(prefix="imgcli-scaling-") as temporary:
        own = real(asked.kind, asked.data.resolve(), (asked.work or Path(temporary)).resolve())
        np.save(Path(temporary) / f"{asked.kind}.npy", own)
        print(likeness(own) + "\n", flush=True)
        results = []
        for n in map(int, asked.sizes.split(",")):
            words = ["-m", "tests.benchmarks.duplicate_scaling", "--kind", asked.kind]
            words += ["--work", temporary]
            for step in ("--draw", "--one"):
                command = [sys.executable, *words, step, str(n)]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            results.append(json.loads(done.stdout))
            shutil.rmtree(Path(temporary) / f"store-{n}")
            print(results[-1], flush=True)
            if asked.json:
                asked.json.write_text(json.dumps(results))
    print("\n" + table(results))


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    stages = list(results[0]["seconds"])
    lines = [
        f"| photos | CPU s | {' | '.join(stages)} | "
        "MB above start: cache | and search | B/photo | pairs/photo | links/photo | "
        "grouped wrongly | copies found |",
        "|" + "---|" * (9 + len(stages)),
    ]
    for one in results:
        seconds = " | ".join(f"{one['seconds'][stage]:.1f}" for stage in stages)
        hit, of = (sum(pair[k] for pair in one["found"].values()) for k in (0, 1))
        lines.append(
            f"| {one['n']:,} | {one['total']:.1f} | {seconds} | "
            f"{one['cache']:.0f} | {one['megabytes']:.0f} | "
            f"{one['megabytes'] * 1e6 / one['n']:.0f} | {one['pairs']:.4f} | {one['links']:.4f} | "
            f"{one['wrong']} | {hit} of {of} |"
        )
    sizes = [one["n"] for one in results]
    fits = [exponent(sizes, [one["total"] for one in results])]
    fits += [exponent(sizes, [one["seconds"][stage] for one in results]) for stage in stages]
    fits += [exponent(sizes, [one[key] for one in results]) for key in ("cache", "megabytes")]
    fits += ["", exponent(sizes, [one["pairs"] for one in results])]
    lines.append(f"| exponent | {' | '.join(fits)} | | | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
