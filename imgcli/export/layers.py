"""Which layer of a network a format does not have."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Given = Tensor | list[Tensor]  # an argument of a module
Attempt = Callable[[nn.Module, Sequence[Given]], object]


def failing_layer(module: nn.Module, inputs: Sequence[Given], attempt: Attempt) -> str:
    """The innermost layer that fails by itself, as `Layer 'backbone.conv1' (Conv2d)`.

    Args:
        inputs: of the whole module, which is run once to see what each layer gets.
        attempt: exports a module with its inputs, or raises.
    """
    seen = _inputs_of_layers(module, inputs)
    name, layer = "", module
    while True:
        for child_name, child in layer.named_children():
            full = f"{name}.{child_name}" if name else child_name
            if full in seen and _fails(child, seen[full], attempt):
                name, layer = full, child
                break
        else:
            break
    if not name:
        return "The network"
    shown = name.removeprefix("members.0.")
    return f"Layer '{shown}' ({type(layer).__name__})"


def _inputs_of_layers(module: nn.Module, inputs: Sequence[Given]) -> dict[str, list[Given]]:
    """What each layer is called with first, where that is tensors; containers by their inputs."""
    seen: dict[str, list[Given]] = {}
    hooks = []
    for name, layer in module.named_modules():

        def look(_: nn.Module, given: tuple[Any, ...], name: str = name) -> None:
            if given and all(isinstance(one, Tensor) for one in given):
                seen.setdefault(name, [one.detach().clone() for one in given])

        hooks.append(layer.register_forward_pre_hook(look))
    try:
        with torch.no_grad():
            module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    # A container, such as a list of members, is not called itself; its layers are.
    for name, layer in module.named_modules():
        if isinstance(layer, nn.ModuleList | nn.ModuleDict):
            for child_name, _ in layer.named_children():
                full = f"{name}.{child_name}"
                if full in seen:
                    seen.setdefault(name, seen[full])
    return seen


def _fails(layer: nn.Module, inputs: Sequence[Given], attempt: Attempt) -> bool:
    if isinstance(layer, nn.ModuleList | nn.ModuleDict):
        return any(_fails(one, inputs, attempt) for one in layer.children())
    try:
        attempt(layer, inputs)
    except Exception:
        return True
    return False
