"""The pictures of a review's photos: decoded as all photos are, and small enough to send."""

import io
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from imgcli.photos.views import thumbnail
from imgcli.report.page.evidence import PhotoEvidence
from imgcli.report.plots.explanation import overlay

SIDES = (240, 1280)  # pixels of the longer side: in a grid, and alone
QUALITY = 82  # of WebP
REMEMBERED = 512  # pictures
WHY = "why-"  # before a photo's id: the picture of the evidence in it


@dataclass(frozen=True)
class Source:
    """Where a photo is, and what it must still be."""

    file: Path
    sha256: str | None = None


@dataclass(eq=False)
class Pictures:
    """Pictures by the ids of photos, as a `Queue` asks for them; threads may share them.

    Only the files of `sources` are ever opened, so no id can name another.
    """

    sources: Mapping[str, Source]
    evidence: Mapping[str, PhotoEvidence] = field(default_factory=dict)
    _made: "OrderedDict[tuple[str, int], bytes | None]" = field(default_factory=OrderedDict)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, photo_id: str, side: int) -> bytes | None:
        """A WebP of `side` pixels at most; None for a photo that is gone, changed or damaged."""
        key = (photo_id, side)
        with self._turn:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        made = self._make(photo_id, side)
        with self._turn:
            self._made[key] = made
            while len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        return made

    def _make(self, photo_id: str, side: int) -> bytes | None:
        source = self.sources.get(photo_id.removeprefix(WHY))
        if source is None:
            return None
        made = thumbnail(source.file, side, source.sha256, QUALITY)
        if made is None or not photo_id.startswith(WHY):
            return made
        found = self.evidence.get(photo_id.removeprefix(WHY))
        return None if found is None else _with_evidence(made, found)


def _with_evidence(picture: bytes, found: PhotoEvidence) -> bytes:
    with Image.open(io.BytesIO(picture)) as opened:
        photo = opened.convert("RGB")
    drawn = overlay(photo, found.evidence.astype(np.float32), tuple(found.box))
    made = io.BytesIO()
    Image.fromarray(drawn).save(made, "WEBP", quality=QUALITY)
    return made.getvalue()
