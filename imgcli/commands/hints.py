"""The commands to type next, as they will be accepted here: with the user's own folders and run."""

import os
from contextlib import suppress
from pathlib import Path
from shlex import join

from imgcli.commands.training_config import asked_words
from imgcli.errors import ImgcliError
from imgcli.runs import find_run
from imgcli.staging import is_occupied
from imgcli.text import free_suffixes

DATASET = Path("dataset")  # that `imgcli train` reads and `imgcli split` makes by default
FIRST = "resnet101"  # of somebody who has trained nothing yet, where its weights are here
PUBLISHED = "timm/resnet101.a1h_in1k"  # the repository of its weights on the hub


def split_command(root: Path) -> str:
    """Split `root`: into dataset/, or what was made of it before brought up to date.

    A dataset/ of other photos is left alone.
    """
    from imgcli.photos.manifest import read_manifest

    words = ["imgcli", "split", str(root)]
    if not is_occupied(DATASET):
        return join(words)
    made = None
    with suppress(ImgcliError):  # damaged: it is not updated
        made = read_manifest(DATASET)
    if made is not None and Path(made.source).resolve() == root.resolve():
        return join([*words, "--update"])
    names = (DATASET.with_name(f"{root.resolve().name}-dataset{end}") for end in free_suffixes())
    return join([*words, "--out", str(next(name for name in names if not is_occupied(name)))])


def first_words() -> list[str]:
    """A new head on a network whose weights are here; no network is asked for others.

    Those that come with imgcli do for --freeze alone. Where neither they nor the published ones are
    here, the network is named that they can be fetched for.
    """
    from imgcli.models.bundled import bundled_archs

    if bundled_archs() and not is_cached(PUBLISHED):
        return ["--freeze"]
    return ["--arch", FIRST, "--freeze"]


def is_cached(repository: str) -> bool:
    """Whether weights are in the hub's cache, by its folders alone: its package takes a while."""
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "huggingface"
    )
    cache = Path(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")).expanduser()
    snapshots = cache / f"models--{repository.replace('/', '--')}" / "snapshots"
    return any(
        path.is_file()
        for name in ("model.safetensors", "pytorch_model.bin")
        for path in snapshots.glob(f"*/{name}")
    )


def train_command(data: Path) -> str:
    """Train on `data` as the newest run was trained; without one, a new head."""
    words = first_words()
    with suppress(ImgcliError):
        newest = find_run()
        weights = newest.config.model.weights
        if weights is None or Path(weights).exists():
            words = asked_words(newest) or words
    data_words = [] if data == DATASET else ["--data", str(data)]
    return join(["imgcli", "train", *words, *data_words])
