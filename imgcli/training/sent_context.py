"""A training context on its way to another process, which decodes or reads the photos itself."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imgcli.photos.views import Pixels
from imgcli.records import Preprocess, Samples
from imgcli.training.augment import Recipe
from imgcli.training.context import TrainingContext
from imgcli.training.inputs import PixelInputs, views_of


@dataclass(frozen=True, eq=False)
class SentContext:
    """A context of pixels, without its photos, on the CPU."""

    values: dict[str, Any]  # the other fields of the context
    recipe: Recipe
    readable: NDArray[np.bool_]  # (N,)

    @classmethod
    def of(cls, context: TrainingContext) -> "SentContext":
        inputs = context.inputs
        assert isinstance(inputs, PixelInputs)
        classifier = copy.deepcopy(context.network.classifier).cpu()
        values = {name: getattr(context, name) for name in context.__dataclass_fields__}
        values |= {"network": replace(context.network, classifier=classifier, given_head=None)}
        for name in ("inputs", "targets", "device"):
            del values[name]
        return cls(values, inputs.recipe, inputs.readable())

    @property
    def samples(self) -> Samples:
        samples: Samples = self.values["dataset"].samples
        return samples

    @property
    def preprocess(self) -> Preprocess:
        preprocess: Preprocess = self.values["network"].preprocess
        return preprocess

    @property
    def views(self) -> list[Preprocess]:
        """The views that its trainings need."""
        return views_of(self.preprocess, self.recipe)

    def inputs(self, pixels: Sequence[Pixels], device: torch.device) -> PixelInputs:
        """Its inputs, of the pixels of its views."""
        return PixelInputs.of(pixels, self.preprocess, self.recipe, device)

    def with_inputs(self, inputs: PixelInputs, device: torch.device) -> TrainingContext:
        """The context in this process."""
        targets = torch.from_numpy(self.samples.targets.copy()).to(device)  # Ray's are read-only
        return TrainingContext(**self.values, inputs=inputs, targets=targets, device=device)
