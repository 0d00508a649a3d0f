"""Photos that nobody has labelled yet."""

from pathlib import Path

from tests.support.photos import coloured_photo
from tests.support.weights import write_weights

NETWORK = ("--arch", "test_resnet", "--weights", "weights.safetensors")
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


def write_roll() -> Path:
    """60 photos of three colours in `photos`, in the current folder, and weights beside it."""
    write_weights(Path("weights.safetensors"))
    Path("photos").mkdir()
    for k, colour in enumerate(COLOURS.values()):
        for i in range(20):
            coloured_photo(colour, 100 * k + i).save(f"photos/{k}-{i:02d}.png")
    return Path("photos")


def true_label(name: str) -> str:
    """The colour of a photo of the roll, by its name."""
    return list(COLOURS)[int(Path(name).name[0])]
