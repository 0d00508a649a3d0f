"""Photos of a report with the evidence for their predicted class, rather than for their label."""

import io
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgcli.records import FloatArray
from imgcli.report.page.galleries import Shown
from imgcli.report.plots.explanation import overlay

QUALITY = 50  # of WebP
PREFIX = "data:image/webp;base64,"


@dataclass(frozen=True, eq=False)
class PhotoEvidence:
    """The evidence in one photo."""

    predicted: str
    label: str
    evidence: NDArray[np.floating]  # (S, S), above 0 for the predicted class
    box: FloatArray  # (4,) of the map in the photo: left, top, right, bottom, in shares


def evidence_images(
    photos: Iterable[Shown], images: Mapping[str, str], found: Mapping[str, PhotoEvidence]
) -> dict[str, str]:
    """Data URIs by the photos' paths: the thumbnail in grey, and the evidence over it.

    Args:
        images: the thumbnails, as of `gallery_images`.
        found: by path; of other classes than those shown it is left out.
    """
    made = {}
    for photo in photos:
        one, image = found.get(photo.path), images.get(photo.path)
        if one is None or image is None or photo.path in made:
            continue
        if (one.predicted, one.label) == (photo.predicted, photo.label):
            made[photo.path] = _drawn(image, one)
    return made


def _drawn(image: str, one: PhotoEvidence) -> str:
    with Image.open(io.BytesIO(b64decode(image.removeprefix(PREFIX)))) as opened:
        photo = opened.convert("RGB")
    drawn = Image.fromarray(overlay(photo, one.evidence.astype(np.float32), tuple(one.box)))
    file = io.BytesIO()
    drawn.save(file, "WEBP", quality=QUALITY)
    return PREFIX + b64encode(file.getvalue()).decode()
