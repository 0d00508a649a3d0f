"""What every arch becomes: a backbone that makes features and a head that makes logits."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor, nn

from imgcli.reading import digest_of_lines
from imgcli.records import Preprocess

if TYPE_CHECKING:
    from imgcli.models.weights import Head

# torchvision's names of what timm exempts from weight decay in the same networks, and torchvision's
# own recipes in most: tokens, tables of positions, scales of attention and of a block's channels.
_NO_DECAY = {
    *("class_token", "pos_embedding", "relative_position_bias_table"),
    *("logit_scale", "cpb_mlp", "layer_scale"),
}

Channels = Literal[1, 3]  # of a network's images: grey, or red, green and blue


class Backbone(NamedTuple):
    """A network without its head, and what goes with it."""

    module: nn.Module
    head_names: list[str]  # what its weights call the head that was cut off
    preprocess: Preprocess


class Classifier(nn.Module):
    """Images `(N, C, H, W)` → backbone → features `(N, D)` → head → logits `(N, K)`.

    The cut is the same for every arch, so that freezing, caching features and swapping heads are
    each written once.
    """

    def __init__(self, backbone: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that weight decay leaves alone, beside biases and norms.

        timm's optimizers ask for them by this name; without it they would not see what a network
        of timm's says of itself.
        """
        own = getattr(self.backbone, "no_weight_decay", None)
        if own is not None:
            return {f"backbone.{name}" for name in own()}
        return {
            name for name, _ in self.named_parameters() if _NO_DECAY.intersection(name.split("."))
        }


@dataclass(frozen=True, eq=False)
class Network:
    """A classifier and what it needs to be used: how its photos are prepared, and what it is."""

    classifier: Classifier
    preprocess: Preprocess
    arch: str
    notation: str | None  # stored with the run, so that a change of the zoo does not orphan it
    head_name: str | None = None  # what timm or torchvision call the head
    given_head: "Head | None" = None  # of the file of weights that it starts from


def feature_count(backbone: nn.Module, size: int, channels: int = 3) -> int:
    """D, found by showing the backbone one black image `(channels, size, size)`."""
    training = backbone.training
    backbone.eval()
    with torch.inference_mode():
        where = next(backbone.parameters(), torch.empty(0)).device
        features = backbone(torch.zeros(1, channels, size, size, device=where))
    backbone.train(training)
    assert features.ndim == 2, f"the backbone gives {tuple(features.shape)}, not (N, D)"
    return int(features.shape[1])


def fingerprint(module: nn.Module) -> str:
    """SHA-256 over all parameters and buffers, hexadecimal: equal only if nothing has changed."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def network_key(network: Network, module: nn.Module) -> str:
    """A cache key of a network or its backbone: the weights, and the layers they are used in.

    Weights alone do not tell max pooling from mean pooling, nor one activation from another.
    """
    return module_key(str(network.notation or network.arch), module)


def module_key(arch: str, module: nn.Module) -> str:
    """A cache key of a module of an arch, as of `network_key`."""
    return digest_of_lines([fingerprint(module), arch, repr(module)])


def count_params(classifier: Classifier, frozen_backbone: bool = False) -> dict[str, int]:
    """Parameters by kind; `non_trainable` counts batch-norm running means and variances as well."""
    statistics = sum(b.numel() for b in classifier.buffers() if b.is_floating_point())
    trained = classifier.head if frozen_backbone else classifier
    trainable = sum(p.numel() for p in trained.parameters())
    total = sum(p.numel() for p in classifier.parameters()) + statistics
    return {"trainable": trainable, "non_trainable": total - trainable, "total": total}
