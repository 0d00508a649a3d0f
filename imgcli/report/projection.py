"""Places in the plane, near those of what is alike: t-SNE, of a few distances or of many features.

The one place where dimensions are reduced to be looked at: the class map of the report and the map
of all photos both come from here. Large distances have no meaning in either.

L. van der Maaten, G. Hinton: Visualizing Data using t-SNE. JMLR 9 (2008). For many photos by
interpolation (G. Linderman et al., Nature Methods 16, 2019), started from the principal components
(D. Kobak, P. Berens, Nature Communications 10, 2019), as the package openTSNE does it.
"""

import importlib.util
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from imgcli.errors import Refused
from imgcli.records import FloatArray

CLASSES_NEARBY = 6  # the perplexity of a map of classes
# Of a map of photos: neighbours that attract a photo, all alike. A Gaussian of perplexity 30 has
# six times as many and takes several times as long; photos of a class lie together as well without
# it (5,000 digits: 10 neighbours in the plane name 84.6 % of them, with it 84.9 %).
PHOTOS_NEARBY = 15
COMPONENTS = 50  # principal components that neighbours are found in
FEW = 10  # photos; fewer have no neighbourhoods, and are placed by their principal components

Places = NDArray[np.float32]  # (N, 2)


def places_by_distance(far: FloatArray) -> FloatArray:
    """A point in the unit square for each of K things, (K, 2), near those of its nearest things.

    By exact t-SNE, started from classical scaling. Most classes are equally far from each other,
    which no plane can show; t-SNE gives up these distances to keep the small ones.

    Args:
        far: distances, (K, K), K at least 3.
    """
    from sklearn.manifold import TSNE

    k = len(far)
    centring = np.eye(k) - 1 / k
    values, vectors = np.linalg.eigh(-0.5 * centring @ far**2 @ centring)
    start = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 1e-6))
    method = TSNE(
        metric="precomputed",
        init=1e-4 * start / start.std(),
        perplexity=min(CLASSES_NEARBY, (k - 1) / 2),
        # The number of points over the early exaggeration (A. Belkina et al., Nature
        # Communications 10, 2019). Steps of 50 threw a pair of thirty classes far off all others.
        learning_rate=max(k / 12, 2.0),
        method="exact",
    )
    points = np.asarray(method.fit_transform(far.copy()), dtype=np.float64)  # squares what it gets
    low, high = points.min(axis=0), points.max(axis=0)
    across: FloatArray = (points - low) / np.maximum(high - low, 1e-9)
    return across


def need_projection() -> None:
    """Refuse what needs a map of photos where openTSNE is missing.

    Raises:
        Refused: with the command that installs it.
    """
    if importlib.util.find_spec("openTSNE") is None:
        raise Refused("A map of photos needs openTSNE. Get it with: pip install 'imgcli[review]'")


def places_by_features(features: NDArray[np.floating], seed: int = 0) -> Places:
    """A point for each photo, (N, 2) between -1 and 1, near those of the photos most like it.

    The same features and seed give the same places, with however many threads: it runs on one.

    Args:
        features: (N, D), all finite.

    Raises:
        Refused: openTSNE is not installed.
    """
    from threadpoolctl import threadpool_limits

    need_projection()
    with threadpool_limits(1):  # a sum in another order begins, and so ends, elsewhere
        components = _components(np.asarray(features, dtype=np.float32))
        points = components[:, :2]
        if len(points) >= FEW and points.std() > 0:
            points = _embedded(components, seed)
    points = points - (points.max(axis=0, initial=-1e30) + points.min(axis=0, initial=1e30)) / 2
    return np.asarray(points / max(np.abs(points).max(initial=0), 1e-9), dtype=np.float32)


def made_by() -> str:
    """What decides the places beside the features and the seed."""
    return f"t-SNE of {COMPONENTS} components, {PHOTOS_NEARBY} nearby, openTSNE " + version(
        "openTSNE"
    )


def _components(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The first principal components, (N, at most 50) and at least two columns."""
    from sklearn.decomposition import PCA

    n, d = features.shape
    most = min(COMPONENTS, n, d)
    found = np.zeros((n, max(most, 2)))
    if (features != features[:1]).any():
        solver = "covariance_eigh" if n > d else "full"
        found[:, :most] = PCA(most, svd_solver=solver).fit_transform(features)
    return found


def _embedded(components: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from openTSNE import TSNE, affinity, initialization

    near = affinity.Uniform(
        components, min(PHOTOS_NEARBY, (len(components) - 1) // 3), n_jobs=1, random_state=seed
    )
    start = initialization.pca(components, random_state=seed)
    found = TSNE(n_jobs=1, random_state=seed).fit(affinities=near, initialization=start)
    return np.asarray(found, dtype=np.float64)
