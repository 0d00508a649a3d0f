"""WebDataset's shards, written with tarfile alone."""

import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Members = Iterable[tuple[str, bytes]]  # names and bytes


def write_shard(file: Path, members: Members | Mapping[str, bytes]) -> Path:
    """A tar of these members, in this order."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pairs = members.items() if isinstance(members, Mapping) else members
    with tarfile.open(file, "w") as tar:
        for name, data in pairs:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file


def as_shards(raw: Path, folder: Path, per_shard: int = 5, order: Sequence[int] = ()) -> Path:
    """The photos of class folders as shards: `<class>-<name>.png` and its label in `.cls`.

    Args:
        order: of the photos, by their paths.
    """
    photos = sorted(file for file in raw.rglob("*") if file.is_file())
    photos = [photos[i] for i in order] if order else photos
    for start in range(0, len(photos), per_shard):
        members = []
        for photo in photos[start : start + per_shard]:
            label = photo.parent.name
            members.append((photo.name, photo.read_bytes()))
            members.append((f"{photo.stem}.cls", label.encode()))
        write_shard(folder / f"s-{start // per_shard:03}.tar", members)
    return folder


def named_apart(raw: Path) -> Path:
    """Class folders whose photos have their class in front of their names: no name comes twice."""
    for photo in sorted(file for file in raw.rglob("*") if file.is_file()):
        photo.rename(photo.with_name(f"{photo.parent.name}-{photo.name}"))
    return raw
