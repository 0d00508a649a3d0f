"""The names of all networks there are, and which have published weights; none is built.

timm and torchvision take seconds to import. What their versions list is therefore kept: that of the
newest versions tested is `networks.json` beside this file, that of other versions is written to the
user's cache folder when it is first needed.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from imgcli.documents import DocumentError, read_document
from imgcli.errors import ModelError
from imgcli.files import write_atomic
from imgcli.models.bundled import bundled_file
from imgcli.models.weights_cache import cached_file
from imgcli.models.zoo import ZOO
from imgcli.progress import note

TORCHVISION = "torchvision/"  # before a name that timm has as well
KEPT = Path(__file__).with_name("networks.json")
_FORMAT = 2


class Listed(NamedTuple):
    """A network of a library, as `--arch` takes it."""

    name: str
    input: tuple[int, int, int] | None  # channels, height, width
    source: str | None  # where its weights are published: a hub's repository, or a URL


class Networks(Struct, frozen=True):
    """What the libraries of some versions list."""

    versions: dict[str, str]
    timm: list[Listed]
    torchvision: list[Listed]


def catalogue(words: Sequence[str] = ()) -> dict[str, list[dict[str, Any]]]:
    """The networks of the zoo, of timm and of torchvision that have all the words in their name.

    Returns:
        By library its networks, named as --arch takes them: `name`, `input` as channels, height and
        width, `weights`: whether any are published, `installed`: whether they came with imgcli,
        `cached`: whether they were fetched before; for the zoo `notation` and `about` as well.
    """
    zoo = [
        {
            "name": name,
            "input": [entry.channels, entry.image_size, entry.image_size],
            **NO_WEIGHTS,
            "notation": entry.notation,
            "about": entry.about,
        }
        for name, entry in ZOO.items()
        if _has(name, words)
    ]
    networks = of_libraries()
    timm = [_json(one) for one in networks.timm if _has(one.name, words)]
    torchvision = [  # each by its longer name too
        _json(one)
        for one in networks.torchvision
        if _has(TORCHVISION + one.name.removeprefix(TORCHVISION), words)
    ]
    return {"zoo": zoo, "timm": timm, "torchvision": torchvision}


def of_libraries() -> Networks:
    """What the installed versions of timm and torchvision list, read where it is kept."""
    versions = {library: _release(library) for library in ("timm", "torchvision")}
    folder = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "imgcli")
    own = folder / f"networks-timm-{versions['timm']}-torchvision-{versions['torchvision']}.json"
    for path in (KEPT, own):
        with suppress(OSError, DocumentError):
            networks = read_document(path, Networks, _FORMAT)
            if networks.versions == versions:
                return networks
    from imgcli.models.libraries import listed  # imports them

    networks = Networks(versions, *listed())
    with suppress(OSError):  # a home that cannot be written to
        folder.mkdir(parents=True, exist_ok=True)
        write(own, networks)
    return networks


def listed_source(arch: str) -> str | None:
    """Where an arch's weights are published, if it is in the lists: a repository, or a URL.

    An arch with a tag, such as `resnet50.a1_in1k`, is not.
    """
    networks = of_libraries()
    theirs = networks.torchvision
    found = [one for one in [*networks.timm, *theirs] if one.name == arch]
    found += [one for one in theirs if TORCHVISION + one.name == arch]
    return found[0].source if found and arch not in ZOO else None


def write(path: Path, networks: Networks) -> None:
    """Keep a list."""
    document = {"format": _FORMAT, **asdict(networks)}
    write_atomic(path, json.dumps(document, separators=(",", ":")) + "\n")


def _release(library: str) -> str:
    """The installed version, without the mark of its build, such as "+cu130"."""
    return version(library).partition("+")[0]


def _has(name: str, words: Sequence[str]) -> bool:
    return all(word.lower() in name for word in words)


def _json(one: Listed) -> dict[str, Any]:
    shape = None if one.input is None else list(one.input)
    return {"name": one.name, "input": shape, **weights_of(one.name, one.source)}


NO_WEIGHTS = {"weights": False, "installed": False, "cached": False}


def weights_of(arch: str, source: str | None) -> dict[str, bool]:
    """Whether weights of an arch are published, came with imgcli, and were fetched before.

    An installed file that is not the one that was published is none, which is said.

    Args:
        source: where they are published, as `weights_cache.cached_file` takes it.
    """
    try:
        installed = bundled_file(arch) is not None
    except ModelError as error:
        note(str(error))
        installed = False
    published, cached = source is not None, source is not None and cached_file(source) is not None
    return {"weights": published, "installed": installed, "cached": cached}
