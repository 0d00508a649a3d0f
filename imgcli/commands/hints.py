"""The commands to type next, as they will be accepted here: with the user's own folders and run."""

from contextlib import suppress
from pathlib import Path
from shlex import join

from imgcli.commands.training_config import asked_words
from imgcli.errors import ImgcliError
from imgcli.models.bundled import bundled_archs
from imgcli.models.hub_repository import is_hub
from imgcli.run_lookup import find_run
from imgcli.staging import is_occupied
from imgcli.text import free_suffixes

DATASET = Path("dataset")  # that `imgcli train` reads and `imgcli split` makes by default


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


def train_command(data: Path) -> str:
    """Train on `data` as the newest run was trained; without one, a new head."""
    words = ["--freeze"] if bundled_archs() else ["--arch", "resnet101", "--freeze"]
    with suppress(ImgcliError):
        newest = find_run()
        weights = newest.config.model.weights
        if weights is None or is_hub(weights) or Path(weights).exists():
            words = asked_words(newest) or words
    data_words = [] if data == DATASET else ["--data", str(data)]
    return join(["imgcli", "train", *words, *data_words])
