"""The caches of the Hugging Face hub and of torch, with files that were fetched before."""

from pathlib import Path
from urllib.parse import urlsplit

from imgcli.models.weights_cache import hub_cache, torch_cache


def fetched_before(source: str, name: str = "model.safetensors") -> Path:
    """An empty file in the place where weights of a repository or a URL are kept."""
    if "://" in source:
        file = torch_cache() / Path(urlsplit(source).path).name
    else:
        folder = hub_cache() / f"models--{source.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs/main").write_text("0123abc")
        file = folder / "snapshots/0123abc" / name
    file.parent.mkdir(parents=True)
    file.touch()
    return file
