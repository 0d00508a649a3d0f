"""The zoo: names for networks that are worth a name, each a notation and the images it is for."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple


class Entry(NamedTuple):
    notation: str
    image_size: int  # pixels, unless --image-size says otherwise
    about: str  # a line for the list
    channels: Literal[1, 3] = 3  # 1: for grey photos
    recipe: Mapping[str, Any] = MappingProxyType({})  # choices of a TrainConfig that suit it


_DENSE = "-D0.5-4096-D0.5-4096"  # how every kind of AlexNet ends, but for the last

ZOO: dict[str, Entry] = {
    "alexnet": Entry(
        f"96C11S4V-P3S2-256C5-P3S2-384C3-384C3-256C3-P3S2{_DENSE}",
        227,
        "Krizhevsky, Sutskever and Hinton (2012), without its split over two GPUs",
    ),
    "flat-alexnet": Entry(
        f"96C11S4V-P3S2-256C5-P3S2-256C3-P3S2{_DENSE}", 227, "AlexNet less two convolutions"
    ),
    "narrow-alexnet": Entry(
        f"48C11S4V-P3S2-128C5-P3S2-192C3-192C3-128C3-P3S2{_DENSE}",
        227,
        "AlexNet with half the filters",
    ),
    "flat-alexnet-hs": Entry(
        f"96C11S6V-P3S2-256C5-P3S2-256C3-P3S2{_DENSE}",
        227,
        "flat-alexnet with a higher stride: 6 instead of 4",
    ),
    "flat-alexnet-ls": Entry(
        f"96C11S3V-P3S2-256C5-P3S2-256C3-P3S2{_DENSE}",
        227,
        "flat-alexnet with a lower stride: 3 instead of 4",
    ),
    "flat-alexnet-low-kernel": Entry(
        f"96C7S4V-P3S2-256C3-P3S2-256C3-P3S2{_DENSE}",
        227,
        "flat-alexnet with smaller kernels: 7, 3, 3 instead of 11, 5, 3",
    ),
    "flat-alexnet-high-kernel": Entry(
        f"96C15S4V-P3S2-256C7-P3S2-256C5-P3S2{_DENSE}",
        227,
        "flat-alexnet with larger kernels: 15, 7, 5 instead of 11, 5, 3",
    ),
    "flat-alexnet-opt": Entry(
        "96C11S4V-P3S2-256C5-P3S2-256C3-P3S2-D0.5-2379-D0.5-5592-D0.5-7864",
        227,
        "flat-alexnet with three dense layers, of sizes found by a search",
    ),
    "mnist-base": Entry(
        "28C5-P2-16C5-P2-D0.2-D0.2-64-N0.1", 28, "a small network for digits", channels=1
    ),
    "mnist-best": Entry(
        "28C5-B-P2-D0.4-28C5-B-P2-D0.4-54:sigmoid-B-D0.4-N0.75",
        28,
        "for digits too, with batch norm, more dropout and noise",
        channels=1,
    ),
    "tiny-mnist": Entry(
        "8C3B-8C3B-P2-12C3B-12C3B-P2-16C3B-16C3B-G",
        28,
        "for digits, with fewer than 8,000 parameters",
        channels=1,
    ),
    "cifar-cnn": Entry(
        "128C5-64C5-32C5-P2-512-256-128-64", 32, "three convolutions and four dense layers"
    ),
    "mlp": Entry("512-512", 32, "two dense layers and no convolution"),
    "small-cnn": Entry(
        "32C3-B-P2-64C3-B-P2-D0.3-128",
        32,
        "for small pictures: a thousand photos a second on two cores",
    ),
    # Page, How to Train Your ResNet; Jordan, 94 % on CIFAR-10 in 3.29 Seconds on a Single GPU.
    "cifar-fast": Entry(
        ":gelu-W2-gelu-64C3:none-P2-B-gelu-R[64C3B]-256C3:none-P2-B-gelu-R[256C3B]"
        "-256C3:none-P2-B-gelu-R[256C3B]-GP",
        32,
        "made to learn fast, after Page (2019) and Jordan (2024)",
        recipe={
            "optimizer": "nmuon",
            "lr": 0.02,
            "momentum": 0.6,
            # So much that the weights keep their length, and a step its share of it.
            "weight_decay": 1.5,
            "init": "identity",
            "batch_size": 500,
            "epochs": 13,
            "schedule": "one-cycle",
            "label_smoothing": 0.2,
            "augment": "small",
            "test_flip": True,
            "test_shift": 1,
            "val_share": 0.0,  # its epochs are few and fixed: nothing is chosen by validation
        },
    ),
}
