"""What wandb's offline mode wrote: records of protobuf in LevelDB's log format."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from wandb.proto.wandb_internal_pb2 import Record

_BLOCK, _HEADER = 32_768, 7


class Offline(NamedTuple):
    """One file of one run."""

    run: Any  # id, project, group, job type, config
    history: list[dict[str, Any]]  # values by name, with "_step"
    summary: dict[str, Any]
    exit_code: int | None


def records(path: Path) -> Iterator[Any]:
    """The records of a .wandb file."""
    data, at, whole = path.read_bytes(), _HEADER, b""
    while at + _HEADER <= len(data):
        if _BLOCK - at % _BLOCK < _HEADER:
            at += _BLOCK - at % _BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + _HEADER])
        whole += data[at + _HEADER : at + _HEADER + size]
        at += _HEADER + size
        if kind in (1, 4):  # a full record, or the last part of one
            yield Record.FromString(whole)
            whole = b""


def read(path: Path) -> Offline:
    run, history, summary, code = None, [], {}, None
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
        elif kind == "history":
            history.append(_items(record.history.item))
        elif kind == "summary":
            summary |= _items(record.summary.update)
        elif kind == "exit":
            code = record.exit.exit_code
    return Offline(run, history, summary, code)


def config_of(offline: Offline) -> dict[str, Any]:
    return _items(offline.run.config.update)


def _items(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
