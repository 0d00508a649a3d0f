"""A photo in 5 kB, and how far two such fingerprints are from showing the same photo.

A fingerprint is a thumbnail of 40 × 40 pixels. To compare two, one is warped onto the other: scaled
and shifted along each axis until it fits best (Gauss-Newton, as in Lucas and Kanade 1981), its
tones brought to the other's by a parabola. Cropping, resizing, compressing or brightening then
leave next to nothing anywhere, while another frame of the same scene leaves a spot that does not
fit. So what counts is the worst spot, in units of the photo's contrast: the registration residual.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from imgcli.photos.resize import Picture, resize, size_of

Fingerprints = NDArray[np.uint8]  # (N, LENGTH)
Array = NDArray[np.floating[Any]]  # float32 throughout
Planes = Array  # (M, n, n) square pictures of one channel

VERSION = 2  # a change of the fingerprints raises it
SIDE = 40
LENGTH = 1 + SIDE * SIDE * 3  # the photo's short side, 255 if it is longer; the thumbnail in RGB

# Of 500 planted copies of photos of caltech30 at least 98 % of each kind (5 % off on all sides,
# half the size, quality 40, ...) fit better than this; of its pairs of different photos none does.
# The closest are two toy pianos (0.29) and two grand pianos (0.32).
TOLERANCE = 0.28
# A photo of so few pixels shows all it has, and different ones come closer. With 0.15 0.8 % of
# CIFAR-10 are grouped, and a hundred of the 176 groups looked at were all right.
TINY = 64  # pixels of the short side
TINY_TOLERANCE = 0.15
# The less a picture shows, the sooner another fits it by chance: with fewer details than this the
# tolerance shrinks in proportion. Half the photos have 150, one in twenty under 57; the MNIST
# digits that fit others within 0.28 have 27 to 60.
DETAILS = 60.0
MIN_TOLERANCE = 0.05
FLAT = 4.0  # grey levels, standard deviation; what is left below is mostly rounding
COLOUR_TOLERANCE = 12.0  # grey levels, root mean square; planted copies reach 9

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
CHROMA = np.array([[-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32)  # JPEG's Cb, Cr

# A placement p (M, 4) says where picture b is in picture a. With coordinates from -1 to 1 across
# the picture, b shows at x what a shows at p[0] * x + p[1]; p[2] and p[3] say the same for down.
WHOLE = np.array([1, 0, 1, 0], np.float32)


# --- one photo ----------------------------------------------------------------------------------


def fingerprint_of(photo: Picture) -> Fingerprints:
    """The fingerprint of an upright RGB photo, (LENGTH,)."""
    thumbnail = resize(photo, (SIDE, SIDE), "bilinear")
    short = np.array([min(*size_of(photo), 255)], np.uint8)
    return np.concatenate([short, thumbnail.reshape(-1)])


def thumbnails(fingerprints: Fingerprints) -> NDArray[np.uint8]:
    """The thumbnails, (N, SIDE, SIDE, 3)."""
    return fingerprints[:, 1:].reshape(-1, SIDE, SIDE, 3)


def luma(fingerprints: Fingerprints) -> Planes:
    """The thumbnails in grey, (N, SIDE, SIDE)."""
    return thumbnails(fingerprints).astype(np.float32) @ LUMA


def chroma(fingerprints: Fingerprints) -> Array:
    """The colours of the thumbnails, at half the size: Cb and Cr, (N, 2, SIDE / 2, SIDE / 2)."""
    return halved(np.moveaxis(thumbnails(fingerprints).astype(np.float32) @ CHROMA.T, -1, 1))


def halved(planes: Array) -> Array:
    """Pictures (..., n, n) at half the size."""
    rows = planes[..., ::2, :] + planes[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def turned(planes: Array, turn: int) -> Array:
    """Pictures (..., n, n) in one of the eight orientations: 0 as they are, 2 mirrored."""
    if turn & 4:
        planes = planes.swapaxes(-1, -2)
    if turn & 2:
        planes = planes[..., ::-1]
    return planes[..., ::-1, :] if turn & 1 else planes


def half_luma(fingerprints: Fingerprints) -> Planes:
    """The thumbnails in grey at half their size, (N, SIDE / 2, SIDE / 2)."""
    rows = thumbnails(fingerprints)
    rows = rows[:, ::2].astype(np.uint16) + rows[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]).astype(np.float32) @ (LUMA / 4)


def tolerance(fingerprints: Fingerprints) -> Array:
    """The largest residual (N,) of the same photo; 0 for a flat photo."""
    return tolerance_of(luma(fingerprints), fingerprints[:, 0])


def tolerance_of(grey: Planes, short: NDArray[np.uint8]) -> Array:
    """As `tolerance`, of thumbnails in grey and the photos' short sides (N,)."""
    limit = np.where(short < TINY, TINY_TOLERANCE, TOLERANCE)
    limit *= np.minimum(1, _details(grey) / DETAILS)
    flat = grey.std(axis=(1, 2)) < FLAT
    return np.where(flat, 0, np.maximum(limit, MIN_TOLERANCE)).astype(np.float32)


def _details(grey: Planes) -> Array:
    """How many frequencies share the power of a picture's gradient: its participation ratio."""
    basis = cosines(SIDE)
    basis[0] *= np.sqrt(0.5)
    frequency = np.arange(SIDE, dtype=np.float32)
    power = (basis @ grey @ basis.T) ** 2 * np.add.outer(frequency**2, frequency**2)
    squares = (power**2).sum(axis=(1, 2))
    return cast(Array, power.sum(axis=(1, 2)) ** 2 / np.maximum(squares, 1e-6))


def cosines(n: int, before: float = 0.0, after: float = 0.0) -> Array:
    """The first n functions of the DCT-II on what is left of a line of SIDE pixels, (n, SIDE).

    Args:
        before, after: shares of the line that are cut off.
    """
    fine = 8  # points per pixel, for cuts that go through one
    x = ((np.arange(SIDE * fine) + 0.5) / (SIDE * fine) - before) / (1 - before - after)
    waves = np.cos(np.pi * np.arange(n)[:, None] * x) * ((x >= 0) & (x <= 1))
    return cast(Array, waves.reshape(n, SIDE, fine).mean(axis=2).astype(np.float32))


# --- two photos ---------------------------------------------------------------------------------


def place(a: Planes, b: Planes, p: Array, steps: int) -> Array:
    """Improve the placement of each b in its a (M, n, n) by steps of Gauss-Newton, (M, 4)."""
    m, n = len(a), a.shape[-1]
    smooth = _gaussian(n, 0.7)
    a, seen = smooth @ a @ smooth.T, smooth @ b @ smooth.T
    x = _middles(n)
    for _ in range(steps):
        shown, rows, columns = _warp(a, p)
        down, across = _slope(shown.swapaxes(1, 2)).swapaxes(1, 2), _slope(shown)
        # Offset and gain of the tones, then how b changes as p does: (M, 6, n²).
        terms = (np.float32(100), shown, across * x, across, down * x[:, None], down)
        found = _least_squares(terms, seen, _outer(rows, columns))
        moves = found[:, 2:] / np.maximum(found[:, 1:2], 0.3)
        moves = np.clip(moves, -0.06, 0.06)  # 1 or 2 pixels; further the gradient misleads
        scale = np.clip(p[:, ::2] * (1 + moves[:, ::2]), 0.7, 1.4)
        shift = np.clip(p[:, 1::2] + p[:, ::2] * moves[:, 1::2], -0.3, 0.3)
        p = np.stack([scale, shift], axis=2).reshape(m, 4)
    return p


def residual(a: Planes, b: Planes, p: Array) -> Array:
    """How badly each a (M, n, n), warped onto its b, fits in the worst spot of 3 × 3 pixels, (M,).

    0 is perfect, 1 is off by the photo's standard deviation. What differs is first blurred by a
    pixel: between its pixels a thumbnail is known no sharper.
    """
    m, n = len(a), a.shape[-1]
    shown, rows, columns = _warp(a, p)
    for inside in (rows, columns):
        inside[:, [0, -1]] = 0  # the rim knows only half of its surroundings
    mask = _outer(rows, columns)
    tone, seen = shown.reshape(m, n * n) / 64 - 2, b.reshape(m, n * n)
    parabola = (np.float32(1), tone, tone * tone)
    offset, slope, bend = _least_squares(parabola, seen, mask).T[:, :, None]
    blur = _gaussian(n, 1.0)
    rest = (seen - ((bend * tone + slope) * tone + offset)) * mask
    rest = blur @ rest.reshape(m, n, n) @ blur.T
    share = _outer(rows @ blur.T, columns @ blur.T)  # of the blur that fell inside
    rest *= (mask / np.maximum(share, 0.3)).reshape(m, n, n)
    spot = ((np.tri(n, k=1) - np.tri(n, k=-2)) / 3).astype(np.float32)
    worst = (spot @ rest**2 @ spot).max(axis=(1, 2))
    return cast(Array, np.sqrt(worst / np.maximum(_moment(seen, seen, mask), 1e-6)))


def colour_residual(a: Array, b: Array, p: Array) -> Array:
    """By how much the colours (M, 2, n, n) of each a, warped onto its b, disagree, (M,).

    Stronger, weaker or tinted colours go the same way, and grey goes with any.
    """
    n = a.shape[-1]
    shown, rows, columns = _warp(a.reshape(-1, n, n), p.repeat(2, axis=0))
    x, y, mask = shown.reshape(-1, n * n), b.reshape(-1, n * n), _outer(rows, columns)
    xx, xy, yy = (
        _moment(one, other, mask).reshape(-1, 2).mean(axis=1)
        for one, other in ((x, x), (x, y), (y, y))
    )
    agreed = np.maximum(xy, 0) ** 2 / np.maximum(xx * yy, 1e-6)
    return cast(Array, np.sqrt(np.minimum(xx, yy) * np.maximum(1 - agreed, 0)))


def _warp(a: Planes, p: Array) -> tuple[Planes, Array, Array]:
    """a warped onto b's pixels; and whether each of b's rows and columns, (M, n), is inside a."""
    across, columns = _reader(a.shape[-1], p[:, 0], p[:, 1])
    down, rows = _reader(a.shape[-1], p[:, 2], p[:, 3])
    return down @ a @ across.transpose(0, 2, 1), rows, columns


def _reader(n: int, scale: Array, shift: Array) -> tuple[Array, Array]:
    """Matrices (M, n, n) that read a line between its pixels, and whether (M, n) they are on it.

    Cubic interpolation (Keys 1981). Linear interpolation blurs, most where it reads half way
    between two pixels: of the crops, it loses one in twenty more.
    """
    at = (scale[:, None] * _middles(n) + shift[:, None] + 1) * n / 2 - 0.5
    inside = ((at > -0.25) & (at < n - 0.75)).astype(np.float32)
    at = np.clip(at, 0, n - 1)
    left = at.astype(np.int64)
    x = at - left
    taps = np.stack([_far(1 + x), _near(x), _near(1 - x), _far(2 - x)])
    taps[0][left == 0] = taps[2][left == n - 1] = taps[3][left >= n - 2] = 0
    taps /= taps.sum(axis=0)
    weights = np.zeros((len(at), n, n + 3), np.float32)
    begin = np.arange(at.size).reshape(at.shape) * (n + 3) + left
    for step, tap in enumerate(taps):
        weights.reshape(-1)[begin + step] = tap
    return weights[:, :, 1:-2], inside


def _near(x: Array) -> Array:
    """The weight of a pixel at a distance of 0 to 1."""
    return (1.5 * x - 2.5) * x * x + 1


def _far(x: Array) -> Array:
    """The weight of a pixel at a distance of 1 to 2."""
    return ((-0.5 * x + 2.5) * x - 4) * x + 2


def _middles(n: int) -> Array:
    """Coordinates of n pixels, from -1 to 1 across the picture."""
    return (2 * np.arange(n, dtype=np.float32) + 1) / n - 1


def _gaussian(n: int, sigma: float) -> Array:
    """Blurs a line of n pixels, (n, n)."""
    x = np.arange(n)
    weights = np.exp(-0.5 * ((x[:, None] - x) / sigma) ** 2)
    weights[weights < 1e-12] = 0  # subnormal numbers slow the products down to a tenth
    return cast(Array, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def _outer(rows: Array, columns: Array) -> Array:
    """Weights of all pixels, (M, n * n), from those of rows and columns."""
    m, n = rows.shape
    return (rows[:, :, None] * columns[:, None, :]).reshape(m, n * n)


def _moment(x: Array, y: Array, weights: Array) -> Array:
    """Weighted covariance of x and y (M, Q), (M,)."""
    total = np.maximum(weights.sum(axis=1), 1e-6)
    means = (x * weights).sum(axis=1) * (y * weights).sum(axis=1) / total**2
    return cast(Array, (x * y * weights).sum(axis=1) / total - means)


def _slope(planes: Planes) -> Planes:
    """How fast pictures (M, n, n) change across; per unit of the coordinate, not per pixel."""
    slope = np.empty_like(planes)
    slope[..., 1:-1] = planes[..., 2:] - planes[..., :-2]
    slope[..., [0, -1]] = 2 * (planes[..., [1, -1]] - planes[..., [0, -2]])
    slope *= planes.shape[-1] / 4
    return slope


def _least_squares(terms: Sequence[Array | np.float32], y: Array, mask: Array) -> Array:
    """The coefficients (M, k) with which k terms make up y best; each of them (M, ...), Q values.

    Args:
        mask: (M, Q) 1 where the two are to agree, else 0.
    """
    m, q = mask.shape
    k = len(terms)
    table = np.empty((m, k + 1, *y.shape[1:]), np.float32)
    for row, term in enumerate((*terms, y)):
        table[:, row] = term
    table = table.reshape(m, k + 1, q)
    table *= mask[:, None]
    products = table[:, :k] @ table.swapaxes(1, 2)
    normal, right = products[:, :, :k], products[:, :, k:]
    ridge = 1e-6 * np.trace(normal, axis1=1, axis2=2)[:, None, None] + 1e-6
    normal += ridge * np.eye(k, dtype=np.float32)  # a flat picture has no gradient
    return np.linalg.solve(normal, right)[:, :, 0]
