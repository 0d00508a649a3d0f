"""The zoo: names for networks that are worth a name, each a notation and the image size it is for.

AlexNet after Krizhevsky, Sutskever and Hinton (2012) without its split over two GPUs.
"""

from typing import NamedTuple


class Entry(NamedTuple):
    notation: str
    image_size: int  # pixels, unless --image-size says otherwise


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
}
