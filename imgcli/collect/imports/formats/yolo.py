"""YOLO's layouts: class folders in train/ and val/ are read as such; boxes are refused.

data.yaml               path: …  train: images/train  names: [crab, lobster]
images/train/1.jpg
labels/train/1.txt      "0 0.48 0.63 0.69 0.71": a class and its box, one line for each
"""

from imgcli.collect.imports.formats.source import Files
from imgcli.errors import DataError


def refuse_boxes(files: Files) -> None:
    """Refuse a detection dataset: its labels are of boxes, and a photo has as many as it shows.

    Raises:
        DataError: it is one.
    """
    texts = {parts[:-1] for parts in files.found.others.get(".txt", [])}
    beside = {
        tuple("images" if name == "labels" else name for name in folder)
        for folder in texts
        if "labels" in folder
    }
    if beside & set(files.found.photos):
        raise DataError(
            f"'{files.path}' is a YOLO detection dataset: its labels are of boxes, and a photo has "
            "no class. Sort the photos into class folders, or cut the boxes out."
        )
