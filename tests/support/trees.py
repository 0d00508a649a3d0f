"""Trees of files, archives and stores: written, and read back."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgcli.collect.imports.labelled_photo import LabelledPhoto
from imgcli.collect.ingest import open_store
from imgcli.provenance import NAME
from tests.support.photos import photo


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
    return {name: data for name, data in files_of(root).items() if Path(name).name != NAME}


def placed_files(out: Path) -> dict[str, bytes]:
    """The files in the class folders of `out`."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.glob("[!.]*/*")}


TWO_CLASSES = {f"{name}/{n}.png": photo(n + 100 * k) for k, name in enumerate("ab") for n in (1, 2)}


def fill(root: Path, counts: Mapping[str, int], salt: str = "") -> Path:
    """Class folders with that many files, every file different; no pictures, so --exact."""
    for label, n in counts.items():
        (root / label).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            (root / label / f"{salt}{i:03d}.jpg").write_text(f"{label} {salt} {i}")
    return root


def files_of(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def provenance_lines(out: Path) -> list[dict[str, Any]]:
    """The lines of a folder's provenance."""
    return [json.loads(line) for line in (out / NAME).read_text("utf-8").splitlines()]


def recorded(out: Path) -> dict[str, str]:
    """SHA-256 by path, as the provenance has it."""
    return {line["path"]: line["sha256"] for line in provenance_lines(out)}


FileStates = dict[str, tuple[bytes, int, int]]


def file_states(root: Path) -> FileStates:
    """Bytes, time and inode of each file."""
    files = {str(p.relative_to(root)): p for p in root.rglob("*") if not p.is_dir()}
    return {n: (p.read_bytes(), p.lstat().st_mtime_ns, p.lstat().st_ino) for n, p in files.items()}
