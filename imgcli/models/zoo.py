"""The zoo: names for networks that are worth a name, each a notation and the image size it is for.

AlexNet after Krizhevsky, Sutskever and Hinton (2012) without its split over two GPUs.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Entry(NamedTuple):
    notation: str
    image_size: int  # pixels, unless --image-size says otherwise
    recipe: Mapping[str, Any] = MappingProxyType({})  # choices of a TrainConfig that suit it


ZOO: dict[str, Entry] = {
    "alexnet": Entry("96C11S4V-P3S2-256C5-P3S2-384C3-384C3-256C3-P3S2-D0.5-4096-D0.5-4096", 227),
    # Two convolutions fewer.
    "flat-alexnet": Entry("96C11S4V-P3S2-256C5-P3S2-256C3-P3S2-D0.5-4096-D0.5-4096", 227),
    # Half the feature maps.
    "narrow-alexnet": Entry(
        "48C11S4V-P3S2-128C5-P3S2-192C3-192C3-128C3-P3S2-D0.5-4096-D0.5-4096", 227
    ),
    # What `imgcli demo` trains: a second per epoch for a thousand small pictures on two cores.
    "small-cnn": Entry("32C3-B-P2-64C3-B-P2-D0.3-128", 32),
    # For pictures of 32 × 32, made to learn fast: three stages after Page (How to Train Your
    # ResNet, 2019) and Jordan (94 % on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024).
    "cifar-fast": Entry(
        "W2-gelu-64C3:none-P2-B-gelu-R[64C3B:gelu]-256C3:none-P2-B-gelu-R[256C3B:gelu]"
        "-256C3:none-P2-B-gelu-R[256C3B:gelu]-GP",
        32,
        {
            "optimizer": "nmuon",
            "lr": 0.02,
            "weight_decay": 0.0,
            "batch_size": 500,
            "epochs": 13,
            "schedule": "one-cycle",
            "label_smoothing": 0.2,
            "augment": "small",
            "test_flip": True,
            "val_share": 0.0,  # its epochs are few and fixed: nothing is chosen by validation
        },
    ),
}
