"""A run as the folder that timm and the Hugging Face hub have of a network.

    config.json          architecture, classes, input and preprocessing, as timm writes them
    model.safetensors    the tensors by timm's own names

timm reads both: `timm.create_model("local-dir:FOLDER", pretrained=True)` has the run's logits. They
are not divided by the temperature that calibrates the run: a head that is scaled by it would not be
the network that was evaluated, and what starts from the folder would start from another head. The
temperature stands in config.json, under "imgcli", and in the card.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli import __version__
from imgcli.errors import ModelError
from imgcli.evaluation.calibration import temperature_of
from imgcli.files import write_json
from imgcli.models.catalogue import TORCHVISION
from imgcli.models.libraries import timm_args
from imgcli.models.network import Network
from imgcli.models.weights import write_plain
from imgcli.records import Preprocess
from imgcli.runs import Run
from imgcli.text import reason_of
from imgcli.training.model_io import WEIGHTS, load_model, stored_model, with_library_names

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "config.json"
CROP_MODES = {"squash": "squash", "crop": "center", "pad": "border"}  # timm's words for `fit`
COMPARED = "Compared: timm gives the run's logits from it, within 1 in 100,000."
TOLERANCE = 1e-5  # of logits, as a share of the largest
_PHOTOS = 4  # that both networks are shown
# What timm's networks say of their input that holds for other weights too.
_OF_ARCH = ("pool_size", "first_conv", "classifier", "fixed_input_size", "min_input_size")
_REMEDY = "Export it with --format onnx"


def write(runs: Sequence[Run], folder: Path) -> None:
    """Write config.json and model.safetensors of one run, and compare what timm reads from them.

    Args:
        folder: exists, and has neither.

    Raises:
        ModelError: the run is no network that timm builds, or timm's logits are others.
    """
    run = _only(runs)
    refuse_others(run)
    network, classes, _ = load_model(run)
    timms = _as_timms(run, network, len(classes))
    write_plain(folder / WEIGHTS, timms.state)
    write_json(folder / CONFIG, _config(run, network.preprocess, classes, timms))
    _compare(network, folder)


def refuse_others(run: Run) -> None:
    """Refuse a run that is seen to be no network of timm before anything is built.

    Raises:
        ModelError: with what it is, and the remedy.
    """
    model = stored_model(run)
    arch = model.arch
    if model.notation is not None:
        what = "is made of layers in imgcli's notation, which timm does not build"
    elif len(model.archs) > 1:
        what = f"joins the features of {len(model.archs)} networks, and timm's networks are single"
    elif model.mirror:
        what = "joins the features of a photo and of its mirror image, as --mirror asks"
    elif model.feature_power not in (None, 1):
        what = f"raises its features to a power, as --feature-power {model.feature_power:g} asks"
    else:
        return
    one = ", or train one network: --freeze --arch NAME" if model.notation is None else ""
    raise ModelError(f"'{run.folder}' cannot be a folder of timm: '{arch}' {what}. {_REMEDY}{one}.")


def _only(runs: Sequence[Run]) -> Run:
    if len(runs) != 1:
        raise ModelError(
            f"A folder of timm holds one network, and the probabilities of {len(runs)} runs are "
            f"averaged. {_REMEDY}, or give one --run."
        )
    return runs[0]


class _Timms(NamedTuple):
    """The run's network as one of timm's."""

    name: str
    args: Mapping[str, Any]  # of timm.create_model
    module: Any
    state: "Mapping[str, Tensor]"  # the run's tensors by timm's names


def timm_name(arch: str) -> str:
    """What timm calls a network: `torchvision/resnet50` is its resnet50, if it is the same."""
    return arch.removeprefix(TORCHVISION).partition(".")[0]


def _as_timms(run: Run, network: Network, classes: int) -> _Timms:
    """Timm's network of that name, if it takes all of the run's tensors.

    Raises:
        ModelError: it does not, or there is none.
    """
    from imgcli.models.lean import timm

    model, name = stored_model(run), timm_name(network.arch)
    state = with_library_names(network, model, network.classifier.state_dict(), classes)
    why = f"timm has no network '{name}'"
    if timm.is_model(name):
        # Arguments of torchvision's have other names; what they change, the shapes show.
        args = timm_args(model, network.preprocess.channels) if timm.is_model(model.arch) else {}
        module = timm.create_model(name, num_classes=classes, **args)
        wanted = {key: value.shape for key, value in module.state_dict().items()}
        if wanted == {key: value.shape for key, value in state.items()}:
            return _Timms(name, args, module, state)
        why = f"timm's '{name}' has other layers, or a head of another make"
    raise ModelError(
        f"'{run.folder}' cannot be a folder of timm: it is of '{network.arch}', and {why}. "
        f"{_REMEDY}."
    )


# --- config.json --------------------------------------------------------------------------------


def _config(
    run: Run, preprocess: Preprocess, classes: Sequence[str], timms: _Timms
) -> dict[str, Any]:
    """The document, as `timm.models.save_config_for_hf` of timm 1.0 has it, and what is ours."""
    pool = getattr(timms.module, "global_pool", None)
    pool = getattr(pool, "pool_type", pool)
    return {
        "architecture": timms.name,
        "num_classes": len(classes),
        "num_features": int(timms.module.num_features),
        **({"global_pool": pool} if isinstance(pool, str) and pool else {}),
        "label_names": [*classes],
        **({"model_args": timms.args} if timms.args else {}),
        "pretrained_cfg": _pretrained_cfg(preprocess, timms.module, len(classes)),
        # The same for readers of the library transformers' names.
        "id2label": {str(i): name for i, name in enumerate(classes)},
        "label2id": {name: i for i, name in enumerate(classes)},
        "imgcli": {
            "version": __version__,
            "run": run.folder.name,
            "temperature": temperature_of(run),
            "fit": preprocess.fit,
            "test_flip": preprocess.test_flip,
            "test_shift": preprocess.test_shift,
        },
    }


def _pretrained_cfg(preprocess: Preprocess, module: Any, classes: int) -> dict[str, Any]:
    size, channels = preprocess.size, preprocess.channels
    of_arch = {key: module.pretrained_cfg[key] for key in _OF_ARCH if key in module.pretrained_cfg}
    if of_arch.get("pool_size") and tuple(module.pretrained_cfg["input_size"][1:]) != (size, size):
        of_arch["pool_size"] = None  # of the size that it was published for
    if of_arch.get("min_input_size"):
        of_arch["min_input_size"] = [channels, *of_arch["min_input_size"][1:]]
    cropped = preprocess.fit == "crop"
    return {
        **of_arch,
        "num_classes": classes,
        "input_size": [channels, size, size],
        "mean": list(preprocess.mean[:channels]),
        "std": list(preprocess.std[:channels]),
        "interpolation": preprocess.interpolation,
        "crop_pct": preprocess.crop if cropped else 1.0,
        "crop_mode": CROP_MODES[preprocess.fit],
        "custom_load": False,
    }


# --- the comparison -----------------------------------------------------------------------------


def _compare(network: Network, folder: Path) -> None:
    """Refuse a folder from which timm reads a network that gives other logits.

    Raises:
        ModelError: with the difference.
    """
    import torch

    from imgcli.models.lean import timm

    preprocess = network.preprocess
    shape = (_PHOTOS, preprocess.channels, preprocess.size, preprocess.size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    try:
        with _silent("timm"):
            read = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        with torch.inference_mode():
            expected, found = network.classifier.eval()(images), read(images)
    except Exception as error:  # of many kinds: whatever timm's version makes of the folder
        raise ModelError(
            f"timm {timm.__version__} cannot read what was exported of '{network.arch}': "
            f"{reason_of(error)}. {_REMEDY}."
        ) from None
    apart = float((expected - found).abs().max())
    if not apart <= TOLERANCE * max(1.0, float(expected.abs().max())):
        raise ModelError(
            f"'{network.arch}' cannot be a folder of timm: the logits of timm's network are others "
            f"(by up to {apart:.2g}). {_REMEDY}."
        )


@contextmanager
def _silent(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
