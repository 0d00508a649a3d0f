"""Published weights as the hub's cache holds them, written here instead of fetched."""

from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file


def write_hub_cache(folder: Path, seeds: Mapping[str, int | None]) -> Path:
    """A cache with weights of some networks of timm.

    Args:
        seeds: of each network's random weights; None for weights that are all 0, whose features
            say nothing, and -1 for weights that are no numbers.
    """
    for arch, seed in seeds.items():
        torch.manual_seed(seed or 0)
        state = timm.create_model(arch).state_dict()
        if seed is None or seed < 0:
            value = 0.0 if seed is None else float("nan")
            state = {
                n: torch.full_like(v, value) if v.is_floating_point() else v
                for n, v in state.items()
            }
        hub_id = timm.models.get_pretrained_cfg(arch).hf_hub_id
        repository = folder / f"models--{hub_id.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text("0123abc")
        (repository / "snapshots" / "0123abc").mkdir(parents=True)
        save_file(state, repository / "snapshots" / "0123abc" / "model.safetensors")
    return folder


def write_weights(file: Path, arch: str = "test_resnet", seed: int = 0) -> Path:
    """A file of a small network's random weights, for `--weights`."""
    torch.manual_seed(seed)
    save_file(timm.create_model(arch).state_dict(), file)
    return file
