"""The same photos in every process of a team."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from imgcli.compute.launch import local_rank
from imgcli.compute.leading import team_for
from imgcli.compute.team import Team
from imgcli.errors import ImgcliError, Refused
from imgcli.photos.views import Pixels, load_pixels
from imgcli.records import Preprocess, Samples
from imgcli.text import count


def team_on(device: torch.device) -> Team | None:
    """The processes that help this command, which computes on `device`; None without any."""
    return team_for(device.type)


def same_photos(
    team: Team,
    samples: Samples,
    views: Sequence[Preprocess],
    cache: Path,
    readable: NDArray[np.bool_],
) -> list[Pixels]:
    """The pixels of photos in each process, from the cache or decoded by itself.

    On a machine that does not have the cache of process 0, one process decodes for all.

    Args:
        readable: which photos process 0 can read, `(N,)`.

    Raises:
        Refused: a process cannot see the photos, or cannot read some that process 0 can.
    """
    folder = Path.cwd() / samples.root
    seen = folder.is_dir()
    team.agree(
        None if seen else f"there is no folder '{folder}'. Name one with --data that all hosts see."
    )
    loaded, problem = _loaded(samples, views, cache, readable) if not local_rank() else ([], None)
    team.meet()  # decoding takes as long as it takes
    team.agree(problem)
    if local_rank():
        loaded, problem = _loaded(samples, views, cache, readable)
    team.agree(problem)
    return loaded


def _loaded(
    samples: Samples, views: Sequence[Preprocess], cache: Path, readable: NDArray[np.bool_]
) -> tuple[list[Pixels], str | None]:
    """The pixels, and what is wrong with them."""
    try:
        return known_photos(samples, views, cache, readable), None
    except ImgcliError as error:
        return [], str(error)


def known_photos(
    samples: Samples, views: Sequence[Preprocess], cache: Path, readable: NDArray[np.bool_]
) -> list[Pixels]:
    """The pixels of photos that the process of the command has seen, in another process.

    Args:
        readable: which of them that one can read, `(N,)`.

    Raises:
        ImgcliError: this process cannot see them, or cannot read the same ones.
    """
    loaded = load_pixels(samples, views, cache)
    differ = np.flatnonzero(loaded[0].readable != readable)
    if len(differ):
        raise Refused(
            f"'{samples.paths[differ[0]]}' in '{Path.cwd() / samples.root}' is not as process 0 "
            f"has it, one of {count(len(differ), 'such photo')}. Give all hosts the same folder."
        )
    return loaded
