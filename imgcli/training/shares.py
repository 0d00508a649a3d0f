"""A batch in shares: which photos a process prepares, and which of its random numbers are its own.

The order of the photos, the cuts into batches, augmentation and mixing are drawn for the whole
batch in every process alike, so that they do not depend on how many there are. What a network draws
itself (dropout, noise) is drawn in each process by a generator of its own.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from imgcli.compute.team import Team
from imgcli.records import IntArray
from imgcli.training.shared_batch_norm import SharedBatchNorm


class Part(NamedTuple):
    """The photos of a batch that one process trains on."""

    size: int  # photos in the batch
    prepared: IntArray | None  # positions of those that are prepared; None: all
    first: int  # of the prepared ones, the first that is trained on; the one before is mixed with
    real: int  # photos of the share; 0 where there is but one to fill it, which counts for nothing
    positions: IntArray  # (real,)

    def trained(self, prepared: Tensor) -> Tensor:
        """Those of the prepared photos, or of their labels, that are trained on."""
        return prepared[self.first :]


def part_of(n: int, team: Team | None, mixed: bool) -> Part:
    """This process's part of a batch of n photos.

    Args:
        mixed: each photo is mixed with the one before it, the first with the last.
    """
    if team is None:
        return Part(n, None, 0, n, np.arange(n))
    own = team.own(n)
    if not len(own):
        return Part(n, np.zeros(1, np.int64), 0, 0, own)
    if not mixed:
        return Part(n, own, 0, len(own), own)
    return Part(n, np.concatenate([[(own[0] - 1) % n], own]), 1, len(own), own)


class OwnDraws:
    """What a process's network draws: of a stream of its own, beside that of all processes."""

    def __init__(self, team: Team | None, seed: int) -> None:
        self.state: Tensor | None = None
        if team:
            own = int(np.random.SeedSequence([seed, team.rank]).generate_state(1)[0])
            self.state = torch.Generator().manual_seed(own).get_state()
            if team.device == "cuda":
                torch.cuda.manual_seed(own)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self.state is None:
            yield
            return
        common = torch.get_rng_state()
        torch.set_rng_state(self.state)
        try:
            yield
        finally:
            self.state = torch.get_rng_state()
            torch.set_rng_state(common)


def whole_batch_norms(team: Team | None, real: int) -> AbstractContextManager[object]:
    """Inside it, batch norms go by the whole batch, whatever share of it this process has."""
    return SharedBatchNorm(team, real) if team else nullcontext()
