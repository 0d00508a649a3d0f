"""A trained run as an estimator of scikit-learn."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from imgcli.commands.load_run import LoadedRun, load_run
from imgcli.commands.new_photos import given_photos
from imgcli.errors import DataError, RunError, WrongUsage
from imgcli.photos.in_memory import photos_of
from imgcli.progress import note_once
from imgcli.records import FloatArray
from imgcli.runs import Run
from imgcli.text import listed
from imgcli.training.predict import predict_by


class RunClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """A fitted classifier of photos: a trained run, or several whose probabilities are averaged.

    X is a list of photos, each a path, a PIL image or an array of uint8 and shape (H, W, 3), or one
    array (N, H, W, 3). Probabilities are those of `imgcli predict`.

    It is fitted from the start. `fit` trains nothing, and checks that the labels are classes of the
    run; a clone is fitted as well and shares the networks. So cross-validation scores this one
    network on each fold, which is a held-out estimate only for photos the run was not trained on.
    A pickle holds the path of the run and not its weights, and is refused if the run has changed.
    """

    def __init__(self, run: Any = "latest", device: str = "auto") -> None:
        self.run = run
        self.device = device

    def fit(self, X: Any, y: Any) -> Self:
        """Check the labels `(N,)`, names of classes; the network stays as it was trained.

        Raises:
            WrongUsage: a label that is no class of the run.
        """
        unknown = sorted({str(label) for label in y} - set(self.classes_.tolist()))
        if unknown:
            raise WrongUsage(
                f"The run '{self._run().folder}' does not know the "
                f"{'class' if len(unknown) == 1 else 'classes'} {listed(unknown)}; it knows "
                f"{listed(self.classes_.tolist())}."
            )
        note_once(
            "fit trains nothing: the run is trained already. Figures on photos that it was trained "
            "on are in-sample; for folds use imgcli.evaluate(folds=10)."
        )
        return self

    @property
    def classes_(self) -> NDArray[np.str_]:
        """(K,) names of the classes, sorted."""
        return np.array(self._run().classes)

    def predict_proba(self, X: Any) -> FloatArray:
        """Calibrated probabilities `(N, K)`, in the order of `classes_`.

        Raises:
            DataError: a photo cannot be read; no row can be left out here.
        """
        photos = photos_of(X)
        if not photos:
            return np.empty((0, len(self.classes_)))
        found = predict_by(self._run().networks, given_photos(photos))
        if found.rejected:
            first = found.rejected[0]
            raise DataError(
                f"'{first.path}' {first.reason}. Leave it out"
                + (f", and {len(found.rejected) - 1} more." if len(found.rejected) > 1 else ".")
            )
        return found.probs

    def predict(self, X: Any) -> NDArray[np.str_]:
        """(N,) the name of the most probable class of each photo."""
        probs = self.predict_proba(X)
        return np.asarray(self.classes_[probs.argmax(axis=1)])

    def set_params(self, **params: Any) -> Self:
        """Name another run, or another device."""
        self.__dict__.pop("_loaded", None)
        self.__dict__.pop("_kept", None)
        super().set_params(**params)
        return self

    def use(self, loaded: LoadedRun) -> Self:
        """Predict by runs that are loaded already."""
        self._loaded = loaded
        return self

    def _run(self) -> LoadedRun:
        """The runs, and with a pickle's temperatures where they are as they were.

        Raises:
            RunError: a run has changed since the pickle was made.
        """
        if "_loaded" not in self.__dict__:
            found, kept = load_run(self.run, device=self.device), self.__dict__.get("_kept")
            if kept is not None:
                for folder, (_, digest) in zip(found.folders, kept, strict=True):
                    if Run(folder).digest("model.json") != digest:
                        raise RunError(
                            f"The run '{folder}' is not the one that this estimator was made of: "
                            "its model.json has changed. Make it again: "
                            "imgcli.load_run(...).as_sklearn()"
                        )
                found = replace(found, temperatures=tuple(t for t, _ in kept))
            self._loaded = found
        return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        """Without the networks, which are read again from the run."""
        found = self._run()
        digests = [Run(folder).digest("model.json") for folder in found.folders]
        kept = list(zip(found.temperatures, digests, strict=True))
        return {"run": self.run, "device": self.device, "_kept": kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __sklearn_clone__(self) -> "RunClassifier":
        made = type(self)(run=self.run, device=self.device)
        made.__dict__.update(self.__dict__)
        return made

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags
