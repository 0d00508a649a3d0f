"""Published weights that were fetched before, in the caches of the Hugging Face hub and of torch.

    <HF_HUB_CACHE>/models--<owner>--<name>/snapshots/<commit>/model.safetensors
    <TORCH_HOME>/hub/checkpoints/<file of the URL>

Looked up without torch, because `imgcli archs` marks them.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

FOLDER_FILES = (  # weights in a folder of Hugging Face's layout, the first that is there
    *("model.safetensors", "model.safetensors.index.json", "pytorch_model.safetensors"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # of a repository, the first that is there


def cached_file(source: str) -> Path | None:
    """The file with weights of a source, if it was fetched before.

    Args:
        source: a repository on the Hugging Face hub, `owner/name`, or a URL.
    """
    if is_url(source):
        file = torch_cache() / Path(urlsplit(source).path).name
        return file if file.is_file() else None
    if not (hub_cache() / f"models--{source.replace('/', '--')}").is_dir():
        return None
    from huggingface_hub import try_to_load_from_cache

    for name in HUB_FILES:
        cached = try_to_load_from_cache(source, name, cache_dir=hub_cache())
        if isinstance(cached, str):
            return Path(cached)
    return None


def is_url(source: str) -> bool:
    return "://" in source


def hub_cache() -> Path:
    """The cache of the Hugging Face hub."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def torch_cache() -> Path:
    """The folder of `torch.hub.load_state_dict_from_url`, as torch finds it."""
    above = os.getenv("XDG_CACHE_HOME", "~/.cache")
    home = os.getenv("TORCH_HOME", os.path.join(above, "torch"))
    return Path(os.path.expanduser(home), "hub", "checkpoints")
