"""A trained run as a plain torch module, and the transform of its photos."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imgcli.errors import DataError
from imgcli.photos.decode import Fault, read_photo
from imgcli.photos.in_memory import content_of
from imgcli.photos.pipeline import Photo, Undecodable
from imgcli.photos.views import view_of
from imgcli.records import Preprocess
from imgcli.training.device import of_views
from imgcli.training.inputs import to_images
from imgcli.training.precision import usable_precision
from imgcli.training.predict import LoadedNetwork


class RunModel(nn.Module):
    """Normalised images `(N, C, S, S)` → logits `(N, K)`, calibrated: by one network or several.

    The softmax of the logits are the probabilities of `imgcli predict`: the logits are those of the
    network divided by the run's temperature, in the precision of its training, and the mean of the
    photo and of its other views if the run predicts so. Of several networks they are the logarithm
    of the mean of their probabilities.

    The networks, as they were trained, are `networks`; each has `backbone` and `head`.
    """

    temperatures: Tensor

    def __init__(self, networks: Sequence[LoadedNetwork]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(one.classifier for one in networks)
        self.precisions = [one.precision for one in networks]
        self.views = [one.preprocess.test_views for one in networks]
        device = networks[0].device
        temperatures = torch.tensor([one.temperature for one in networks], device=device)
        self.register_buffer("temperatures", temperatures, persistent=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        each = [self._logits(i, images) for i in range(len(self.networks))]
        if len(each) == 1:
            return each[0]
        logs = torch.stack([torch.log_softmax(logits, dim=1) for logits in each])
        return torch.logsumexp(logs, dim=0) - torch.log(torch.tensor(float(len(each))))

    def _logits(self, i: int, images: Tensor) -> Tensor:
        precision = usable_precision(self.precisions[i], images.device)
        logits = of_views(self.networks[i], images, precision, self.views[i])
        return logits / self.temperatures[i]


class PhotoTransform:
    """A photo → the tensor `(C, S, S)` that `imgcli predict` makes of it, normalised.

    A photo is a path, a PIL image, or an array of uint8 and shape (H, W, 3), (H, W, 4) or (H, W).
    It can be the transform of a torchvision dataset.
    """

    def __init__(self, preprocess: Preprocess) -> None:
        self.preprocess = preprocess

    def __call__(self, photo: Any) -> Tensor:
        """
        Raises:
            WrongUsage: it is of another type or shape.
            DataError: it cannot be read or decoded.
        """
        content = content_of(photo)
        data = content if isinstance(content, bytes) else read_photo(content)
        try:
            if isinstance(data, Fault):
                raise Undecodable(data)
            pixels = view_of(self.preprocess).apply(Photo(0, data))  # (S, S, 3) uint8
        except Undecodable as error:
            name = f"'{content}'" if isinstance(content, str) else "The photo"
            raise DataError(f"{name} {error.fault.sentence}") from None
        return to_images(torch.from_numpy(np.array(pixels))[None], self.preprocess)[0]

    def __repr__(self) -> str:
        return f"PhotoTransform: {self.preprocess.describe()}"
