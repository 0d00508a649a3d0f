"""Views of images whose predictions are averaged: test-time augmentation."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from imgcli.records import AveragedViews


def views_of(images: Tensor, views: AveragedViews) -> Iterator[Tensor]:
    """The images `(B, C, H, W)` themselves, then their other views, all of the same shape.

    What comes in at the rim of a shifted image is mirrored, as in training.
    """
    for some in (images, *_shifted(images, views.shift)):
        yield some
        if views.flip:
            yield some.flip(-1)


def _shifted(images: Tensor, by: int) -> Iterator[Tensor]:
    if not by:
        return
    height, width = images.shape[2:]
    wider = functional.pad(images, (by,) * 4, mode="reflect")
    for start in (0, 2 * by):
        some = wider[:, :, start : start + height, start : start + width]
        yield some.contiguous(memory_format=torch.channels_last)  # a part of them is slow


def mean_over_views(
    compute: Callable[[Tensor], Tensor], images: Tensor, views: AveragedViews
) -> Tensor:
    """The mean of what `compute` gives for each view of the images."""
    each = [compute(view) for view in views_of(images, views)]
    total = each[0]
    for one in each[1:]:
        total = total + one
    return total / len(each) if len(each) > 1 else total
