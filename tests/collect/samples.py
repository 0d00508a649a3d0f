"""Small photos, archives and trees to try importing with."""

import io
import tarfile
import zipfile
from pathlib import Path

from PIL import Image

from imgcli.collect.imports.labelled_photo import LabelledPhoto
from imgcli.collect.ingest import open_store


def photo(number: int, image_format: str = "PNG") -> bytes:
    """A photo whose bytes are unlike those of any other number."""
    picture = Image.new("RGB", (4, 3), (number % 256, number // 256 % 256, 77))
    file = io.BytesIO()
    picture.save(file, image_format)
    return file.getvalue()


def labelled_photo(label: str, name: str, data: bytes) -> LabelledPhoto:
    return LabelledPhoto(label, name, f"here/{label}/{name}", lambda: data)


def place(out: Path, *photos: LabelledPhoto) -> list[bool]:
    """Place photos in a store; whether each was new."""
    with open_store(out) as store:
        return [store.place(one) for one in photos]


def make_tree(root: Path, files: dict[str, bytes]) -> Path:
    """Write files by relative path."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def make_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            add_to_tar(archive, name, data)
    return path


def add_to_tar(archive: tarfile.TarFile, name: str, data: bytes = b"", **header: object) -> None:
    """Add a member, any of its header's fields set as wanted."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for key, value in header.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(data))


def tree(root: Path) -> dict[str, bytes]:
    """All files under `root`, without the provenance."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != "provenance.jsonl"
    }


TWO_CLASSES = {f"{name}/{n}.png": photo(n + 100 * k) for k, name in enumerate("ab") for n in (1, 2)}
