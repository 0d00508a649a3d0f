"""Splitting, duplicates and importing: beside split-folders, a decode pass, and `cp`."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from imgcli.photos.hashing import digest_files
from imgcli.photos.near_duplicates import duplicate_groups
from imgcli.photos.split import split_folder
from tests.benchmarks.machine import imgcli, peak_megabytes, run
from tests.benchmarks.material import Photos
from tests.benchmarks.pixels import decoded
from tests.benchmarks.script import Setting, main
from tests.benchmarks.timing import Contender, Goal, Result, alternate, repeat

PEER = "split-folders"
SPLIT = "import sys, splitfolders; splitfolders.ratio(sys.argv[1], 'out', ratio=(0.9, 0.1))"


def measure(setting: Setting) -> Iterator[Result]:
    material, quick = setting.material, setting.quick
    digits = material.digits(2_000 if quick else 60_000)
    large = material.enlarged(40 if quick else 3_000, (1600, 1067))
    yield from exact(digits, 2.0, setting)
    yield from exact(large, 1.0, setting)
    yield near(material.photos(*((100, 5) if quick else ())), setting)
    yield search(material.pictures(1_000 if quick else 30_000), 10.0, setting)
    yield search(digits, None, setting)
    yield importing(large, setting)
    yield importing(digits, setting)


def exact(photos: Photos, goal: float, setting: Setting) -> Iterator[Result]:
    """Whole processes: imgcli hashes everything and links, split-folders copies unread."""
    split = imgcli("split", photos.root, "--duplicates", "exact", "--quiet")
    contenders: dict[str, Contender] = {
        "imgcli": lambda folder: run(split, folder),
        "copying": lambda folder: run([*split, "--link", "copy"], folder),
    }
    if find_spec("splitfolders"):
        command = [sys.executable, "-c", SPLIT, str(photos.root)]
        contenders[PEER] = lambda folder: run(command, folder)
    seconds = alternate(contenders, setting.rounds(5), setting.work)
    theirs = seconds.get(PEER, ())
    peer = PEER if theirs else f"{PEER} is not installed"
    sizes = f"{photos}, {photos.size / len(photos) / 1000:.3g} kB each"
    most = peak_megabytes([*split, "--out", f"measured-{photos.root.name}"], setting.work)
    yield Result(
        f"`split --duplicates exact`, {sizes}",
        seconds["imgcli"],
        theirs,
        peer,
        "photos/s",
        len(photos),
        Goal("faster", goal),
        f"hard links; at most {most:.0f} MB of memory",
    )
    yield Result(
        f"`split --duplicates exact --link copy`, {sizes}",
        seconds["copying"],
        theirs,
        peer,
        "photos/s",
        len(photos),
        None,
        "both copy; only imgcli reads what it copies, and syncs it",
    )


def near(photos: Photos, setting: Setting) -> Result:
    """A first split with every photo decoded, beside one cold pass over the same photos."""

    def ours(folder: Path) -> None:
        split_folder(photos.root, folder / "dataset", duplicates="near", cache=folder / "cache")

    peer = "imgcli's cold pixel pass"
    contenders: dict[str, Contender] = {
        "imgcli": ours,
        peer: lambda folder: decoded(photos.root, folder / "cache"),
    }
    seconds = alternate(contenders, setting.rounds(5), setting.work)
    return Result(
        f"`split`, near-duplicates, {photos}",
        seconds["imgcli"],
        seconds[peer],
        peer,
        "photos/s",
        len(photos),
        Goal("cost", 1.3),
    )


def search(photos: Photos, goal: float | None, setting: Setting) -> Result:
    """Near-duplicates among photos whose sketches are in the cache already."""
    cache = setting.work / f"sketched-{photos.root.name}"
    files = list(photos.files)
    digests = [str(digest) for digest in digest_files(files, cache)]
    groups, _ = duplicate_groups(files, digests, "near", cache)
    return Result(
        f"near-duplicates among sketches, {photos}",
        repeat(
            lambda folder: duplicate_groups(files, digests, "near", cache),
            setting.rounds(3),
            setting.work,
            warm_up=False,
        ),
        goal=Goal("below", goal) if goal else None,
        note=f"{len(files) - len(set(groups.tolist())):,} photos are copies of another",
    )


def importing(photos: Photos, setting: Setting) -> Result:
    """Whole processes; what is written is on the disk at the end of either."""
    command = imgcli("import", photos.root, "--out", "raw", "--quiet")
    peer = "`cp -r` and `sync`"
    copy = ["sh", "-c", 'cp -r "$0" raw && sync -f raw', str(photos.root)]
    contenders: dict[str, Contender] = {
        "imgcli": lambda folder: run(command, folder),
        peer: lambda folder: run(copy, folder),
    }
    seconds = alternate(contenders, setting.rounds(3), setting.work)
    return Result(
        f"`import`, {photos}",
        seconds["imgcli"],
        seconds[peer],
        peer,
        "MB/s",
        photos.size / 1e6,
        note="imgcli also looks into every file, hashes it and writes where it is from",
    )


if __name__ == "__main__":
    main(measure, __doc__)
