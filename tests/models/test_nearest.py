"""Networks by the shapes of a file's tensors, whatever it calls them."""

import hashlib

import pytest
import timm
import torch

from imgcli.models import nearest
from imgcli.models.nearest import TABLE, nearest_archs, table_of

ARCHS = [
    *("resnet101", "vit_small_patch16_224", "convnext_small", "efficientnet_b3", "densenet121"),
    *("mobilenetv3_large_100", "regnety_016", "mixer_b16_224", "vgg16_bn", "edgenext_small"),
]


def shapes_of(arch: str, classes: int = 7) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        state = timm.create_model(arch, num_classes=classes).state_dict()
    return {name: tuple(value.shape) for name, value in state.items()}


def renamed(name: str) -> str:
    """Another program's name for the same tensor."""
    *words, last = name.split(".")
    return (
        ".".join(
            w if w.isdigit() else "m" + hashlib.md5(w.encode()).hexdigest()[:4] for w in [*words]
        )
        + f".{last}"
    )


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("names", ["kept", "renamed"])
def test_a_network_is_found_by_its_shapes(arch: str, names: str) -> None:
    shapes = shapes_of(arch)
    if names == "renamed":
        shapes = {f"net.{renamed(name)}": shape for name, shape in shapes.items()}
    near = nearest_archs(shapes)
    assert near[0].arch == arch and near[0].fitting == near[0].of


def test_copies_and_an_optimizer_beside_it_do_not_hide_it() -> None:
    own = shapes_of("resnet34")
    shapes = {f"{part}.{name}": shape for part in ("model", "ema", "exp_avg", "exp_avg_sq")
              for name, shape in own.items()}  # fmt: skip
    assert nearest_archs(shapes)[0].arch == "resnet34"


def test_of_networks_of_one_shape_the_names_or_the_file_decide() -> None:
    shapes = shapes_of("deit_small_patch16_224")
    assert nearest_archs(shapes, ["deit_small_patch16_224"])[0].arch == "deit_small_patch16_224"


def test_the_kept_table_is_of_the_installed_timm() -> None:
    kept = nearest.kept_table()
    assert kept is not None
    if kept.timm != timm.__version__:
        pytest.skip(f"{TABLE.name} is of timm {kept.timm}")
    assert kept.archs.keys() == {*timm.list_models()}, (
        f"{TABLE.name} lacks networks; write it again, which takes minutes: "
        "from imgcli.models.nearest import *; write(table_of(timm.list_models()))"
    )
    for arch in ("resnet18", "vit_tiny_patch16_224", "convnext_atto"):
        made = table_of([arch])
        assert decoded(made.shapes, made.archs[arch]) == decoded(kept.shapes, kept.archs[arch])


def decoded(shapes: list[str], flat: list[int]) -> dict[str, int]:
    return {shapes[i]: n for i, n in zip(flat[::2], flat[1::2], strict=True)}
