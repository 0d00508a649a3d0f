"""Photos that are not of a run's own dataset: which they are, and where their figures are kept."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from imgcli.config import GroupBy
from imgcli.errors import ImgcliError
from imgcli.folder_names import Levels
from imgcli.photos.dataset import SEALED, Dataset, OtherTree, load_dataset
from imgcli.progress import note
from imgcli.runs import Run
from imgcli.text import count, listed
from imgcli.training.cache_keys import photos_of


def is_own(run: Run, data: Path | None) -> bool:
    """Whether a dataset is the one a run was trained on, be it moved."""
    if data is None or data.resolve() == run.data.resolve():
        return True
    if run.photos is None:
        return False
    with suppress(ImgcliError):  # class folders, which are no dataset
        return photos_of(load_dataset(data, config=run.config.data)) == run.photos
    return False


def folder_of_other(run: Run, data: Path) -> Path:
    """Where a run keeps what it is worth on other photos, beside what it is worth on its own."""
    key = hashlib.sha256(str(data.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:6]
    name = "".join(c if c.isalnum() or c in "_-" else "-" for c in data.resolve().name)[:60]
    return run.folder / "other-data" / f"{name}-{key}"


def place_of_other(run: Run, data: Path) -> Run:
    """The folder of `folder_of_other`, made where it is missing, as a run's documents are kept."""
    folder = folder_of_other(run, data)
    folder.mkdir(parents=True, exist_ok=True)
    return Run(folder)


class OwnPhotos(NamedTuple):
    """The hashes of a run's own photos."""

    trained: frozenset[str] = frozenset()  # and those of its validation
    test: frozenset[str] = frozenset()


def own_photos(run: Run) -> OwnPhotos:
    """The photos that a run was trained on, and those of its test part; none where they are gone.

    That they are gone is noted.
    """
    try:
        dataset = load_dataset(run.data, config=run.config.data)
    except ImgcliError:
        note(
            f"The dataset of the run, '{run.data}', cannot be read here: it is not known whether "
            "the run was trained on some of these photos."
        )
        return OwnPhotos()
    rows = dataset.split.parts
    test = frozenset(dataset.samples.digests[row] for row in rows.get("test", []))
    return OwnPhotos(frozenset(dataset.samples.digests) - test, test)


def other_dataset(run: Run, data: Path, levels: Levels, group_by: GroupBy | None) -> Dataset:
    """Other photos as a dataset for folds: class folders are one train part.

    Photos of the run's own test part are left out, which is noted with what is taken: they are
    scored under the eyes of the ledger alone.

    Args:
        levels: which folders of `data` are the classes and the parts; the run's are of its own.
        group_by: what joins photos into groups, in place of the run's choice.

    Raises:
        DataError: no photos for folds.
        WrongUsage: `data` can be read in more than one way.
    """
    other = OtherTree(levels, own_photos(run).test)
    found = load_dataset(data, config=run.config.data, group_by=group_by, other=other)
    names = found.samples.classes
    note(
        f"'{data}' is not the run's own dataset: networks of its "
        f"{count(len(names), 'class', 'classes')} ({listed(names, 4)}) are trained and evaluated "
        "there by the run's config."
    )
    if n := sum(one.reason == SEALED for one in found.rejected):
        note(f"Left out, {SEALED}: {count(n, 'photo')}.")
    return found
