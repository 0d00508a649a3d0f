"""Folders that transformers saves: its networks under timm's names, or a sentence."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from timm.models.convnext import ConvNeXt
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from imgcli.errors import ModelError
from imgcli.models.weights import load_backbone, read_checkpoint

K = 3
# timm's names, and those that transformers 4 and 5 write for the same layers.
VIT = {
    r"cls_token": "vit.embeddings.cls_token",
    r"pos_embed": "vit.embeddings.position_embeddings",
    r"patch_embed\.proj": "vit.embeddings.patch_embeddings.projection",
    r"blocks\.(\d)\.norm1": r"vit.encoder.layer.\1.layernorm_before",
    r"blocks\.(\d)\.norm2": r"vit.encoder.layer.\1.layernorm_after",
    r"blocks\.(\d)\.attn\.qkv": r"vit.encoder.layer.\1.attention.attention.QKV",
    r"blocks\.(\d)\.attn\.proj": r"vit.encoder.layer.\1.attention.output.dense",
    r"blocks\.(\d)\.mlp\.fc1": r"vit.encoder.layer.\1.intermediate.dense",
    r"blocks\.(\d)\.mlp\.fc2": r"vit.encoder.layer.\1.output.dense",
    r"norm\.": "vit.layernorm.",
    r"head": "classifier",
}
_STAGE = r"convnext.encoder.stages.\1.layers.\2"
CONVNEXT = {
    r"stem\.0": "convnext.embeddings.patch_embeddings",
    r"stem\.1": "convnext.embeddings.layernorm",
    r"stages\.(\d)\.downsample\.(\d)": r"convnext.encoder.stages.\1.downsampling_layer.\2",
    r"stages\.(\d)\.blocks\.(\d)\.conv_dw": rf"{_STAGE}.dwconv",
    r"stages\.(\d)\.blocks\.(\d)\.norm": rf"{_STAGE}.layernorm",
    r"stages\.(\d)\.blocks\.(\d)\.mlp\.fc(\d)": rf"{_STAGE}.pwconv\3",
    r"stages\.(\d)\.blocks\.(\d)\.mlp\.grn": rf"{_STAGE}.grn",
    r"stages\.(\d)\.blocks\.(\d)\.gamma": rf"{_STAGE}.layer_scale_parameter",
    r"head\.norm": "convnext.layernorm",
    r"head\.fc": "classifier",
}
RESNET = {
    r"conv1": "resnet.embedder.embedder.convolution",
    r"bn1": "resnet.embedder.embedder.normalization",
    r"layer1\.(\d)\.conv1": r"resnet.encoder.stages.0.layers.\1.layer.0.convolution",
    r"layer1\.(\d)\.bn1": r"resnet.encoder.stages.0.layers.\1.layer.0.normalization",
    r"fc": "classifier.1",
}
for stage in range(1, 5):
    for conv in range(1, 4):
        of = rf"resnet.encoder.stages.{stage - 1}.layers.\1"
        RESNET[rf"layer{stage}\.(\d)\.conv{conv}"] = rf"{of}.layer.{conv - 1}.convolution"
        RESNET[rf"layer{stage}\.(\d)\.bn{conv}"] = rf"{of}.layer.{conv - 1}.normalization"
    RESNET[rf"layer{stage}\.(\d)\.downsample\.0"] = rf"{of}.shortcut.convolution"
    RESNET[rf"layer{stage}\.(\d)\.downsample\.1"] = rf"{of}.shortcut.normalization"


def vit(classes: int = 0) -> nn.Module:
    return VisionTransformer(
        img_size=32, patch_size=16, embed_dim=24, depth=2, num_heads=3, num_classes=classes
    )


def convnext(classes: int = 0, **more: object) -> nn.Module:
    return ConvNeXt(depths=(1, 2, 1, 1), dims=(8, 16, 24, 32), num_classes=classes, **more)  # type: ignore[arg-type]


def convnext_2(classes: int = 0) -> nn.Module:
    return convnext(classes, use_grn=True, ls_init_value=None)


def convnext_of_convolutions(classes: int = 0) -> nn.Module:
    return convnext(classes, conv_mlp=True)


def resnet(classes: int = 0) -> nn.Module:
    return ResNet(Bottleneck, (1, 2, 1, 1), channels=(8, 8, 16, 16), num_classes=classes)


def resnet_basic(classes: int = 0) -> nn.Module:
    return ResNet(BasicBlock, (1, 1, 1, 1), channels=(8, 8, 16, 16), num_classes=classes)


NETWORKS = {
    "vit": (vit, VIT, "head"),
    "convnext": (convnext, CONVNEXT, "head.fc"),
    "convnextv2": (convnext_2, CONVNEXT, "head.fc"),
    "convnext of 1×1": (convnext_of_convolutions, CONVNEXT, "head.fc"),
    "resnet": (resnet, RESNET, "fc"),
    "resnet basic": (resnet_basic, RESNET, "fc"),
}


def as_transformers(state: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        old = next(old for old in names if re.match(old, name))
        new = re.sub(f"^{old}", names[old], name)
        if "QKV" in new:
            for which, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                found[new.replace("QKV", which)] = third.clone()
        elif "pwconv" in new:
            found[new] = value.reshape(value.shape[:2])
        elif ".grn." in new:
            found[new] = value.reshape(1, 1, 1, -1).clone()
        else:
            found[new] = value.clone()
    return found


def folder_of(folder: Path, kind: str, prefix: str = "", **config: object) -> dict[str, Tensor]:
    """A folder as transformers saves it; returns what timm's network holds."""
    make, names, _ = NETWORKS[kind]
    torch.manual_seed(0)
    state = {name: torch.rand_like(value.float()) for name, value in make(K).state_dict().items()}
    folder.mkdir()
    tensors = {prefix + name: value for name, value in as_transformers(state, names).items()}
    save_file(tensors, folder / "model.safetensors")
    labels = {str(i): name for i, name in enumerate("abc")}
    document = {"model_type": kind.split()[0], "id2label": labels, **config}
    (folder / "config.json").write_text(json.dumps(document))
    return state


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("kind", list(NETWORKS))
def test_every_tensor_is_put_where_timm_has_it(tmp_path: Path, kind: str, prefix: str) -> None:
    state = folder_of(tmp_path / "saved", kind, prefix)
    make, _, head = NETWORKS[kind]
    network = make()
    given = load_backbone(network, read_checkpoint(tmp_path / "saved"), [head])
    for name, value in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, state[name]), name
    assert given is not None and given.classes == ("a", "b", "c")
    assert torch.equal(given.weight, state[f"{head}.weight"])


def test_query_key_and_value_may_be_in_different_files(tmp_path: Path) -> None:
    state = folder_of(tmp_path / "saved", "vit")
    file = tmp_path / "saved/model.safetensors"
    from safetensors.torch import load_file

    tensors = load_file(file)
    file.unlink()
    places = {}
    for i, name in enumerate(sorted(tensors)):
        places[name] = f"model-{i % 3}.safetensors"
    for part in set(places.values()):
        own = {name: tensors[name] for name in places if places[name] == part}
        save_file(own, tmp_path / "saved" / part)
    index = tmp_path / "saved/model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    network = vit()
    load_backbone(network, read_checkpoint(tmp_path / "saved"), ["head"])
    assert torch.equal(
        network.state_dict()["blocks.1.attn.qkv.weight"], state["blocks.1.attn.qkv.weight"]
    )


@pytest.mark.parametrize(
    ("kind", "config", "sentence"),
    [
        ("vit", {"hidden_act": "quick_gelu"}, "hidden_act=quick_gelu, which timm's .* has not"),
        ("resnet", {"downsample_in_bottleneck": True}, "downsample_in_bottleneck=True, which"),
    ],
)
def test_a_network_that_timm_computes_otherwise_is_refused(
    tmp_path: Path, kind: str, config: dict[str, object], sentence: str
) -> None:
    folder_of(tmp_path / "saved", kind, **config)
    make, _, head = NETWORKS[kind]
    with pytest.raises(ModelError, match=sentence):
        load_backbone(make(), read_checkpoint(tmp_path / "saved"), [head])


def test_another_network_of_transformers_is_named(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    tensors = {f"swin.encoder.{n}.weight": torch.zeros(4, 4) for n in range(9)}
    save_file(tensors, tmp_path / "saved/model.safetensors")
    (tmp_path / "saved/config.json").write_text(json.dumps({"model_type": "swin"}))
    with pytest.raises(ModelError, match=r"it is a 'swin' of the library transformers, of which"):
        load_backbone(vit(), read_checkpoint(tmp_path / "saved"), ["head"])
