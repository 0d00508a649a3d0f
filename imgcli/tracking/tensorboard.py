"""TensorBoard: event files in the run's folder, `tensorboard/`; its parts in folders below.

The values of HPARAMS are those of its plugin, so that the tab compares runs and trials. Written
with TensorBoard's own classes, which need neither torch nor TensorFlow.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time
from typing import Any

from imgcli.text import free_suffixes
from imgcli.tracking.tracker import About, Address, Point, Status

FOLDER = "tensorboard"
_SESSIONS = ("train", "trial")  # kinds that the HPARAMS tab compares
_MAX_ROWS = 1_000  # of a table, which is a text there


def load() -> None:
    """Import TensorBoard's writer."""
    import tensorboard.compat.proto.event_pb2
    import tensorboard.plugins.hparams.plugin_data_pb2
    import tensorboard.summary.writer.event_file_writer  # noqa: F401


def begin(about: About, known: Address) -> "TensorBoardTracker":
    """Event files of a run; of one that is resumed, later steps than it goes on from are void."""
    new = "folder" not in known
    resumed = not new and not about.adds
    return TensorBoardTracker(about, about.folder / FOLDER, resumed=resumed, new=new)


class TensorBoardTracker:
    """One run of TensorBoard's: a folder with event files."""

    def __init__(self, about: About, folder: Path, *, resumed: bool, new: bool) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._about = about
        self._folder = folder
        self._writer = EventFileWriter(str(folder))
        self._resumed = resumed
        self._step = 0
        self._in_hparams = about.kind in _SESSIONS and not about.adds
        if new:
            self._text("config", _markdown(("choice", "value"), [*about.config.items()]))
        if new and self._in_hparams:
            self._start_session()
        self._writer.flush()

    @property
    def address(self) -> Address:
        return {"folder": FOLDER}

    def log(self, points: Sequence[Point]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary

        if self._resumed:
            self._resumed = False
            restart = SessionLog(status=SessionLog.START)
            self._writer.add_event(
                Event(wall_time=points[0].time, step=points[0].step, session_log=restart)
            )
        for point in points:
            values = [Summary.Value(tag=n, simple_value=v) for n, v in point.values.items()]
            self._writer.add_event(
                Event(wall_time=point.time, step=point.step, summary=Summary(value=values))
            )
        self._step = max(self._step, points[-1].step)
        self._writer.flush()  # what is written stays, whatever becomes of the process

    def summary(self, values: Mapping[str, float]) -> None:
        self.log([Point(self._step, time(), values)])

    def figure(self, name: str, file: Path) -> None:
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        with Image.open(file) as picture:
            width, height = picture.size
        image = Summary.Image(
            width=width, height=height, colorspace=4, encoded_image_string=file.read_bytes()
        )
        self._add(Summary.Value(tag=name, image=image))
        self._writer.flush()

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._text(name, _markdown(columns, rows[:_MAX_ROWS]))
        self._writer.flush()

    def artefact(self, file: Path) -> None:
        self._text(file.name, f"`{file}`")  # it keeps no files
        self._writer.flush()

    def child(self, about: About) -> "TensorBoardTracker":
        slug = re.sub(r"[^\w.]+", "-", about.name).strip("-.") or "part"
        places = (self._folder / (slug + suffix) for suffix in free_suffixes())
        folder = next(place for place in places if not place.exists())
        return TensorBoardTracker(about, folder, resumed=False, new=True)

    def finish(self, status: Status) -> None:
        if self._in_hparams:
            self._end_session(status)
        self._writer.close()

    def _start_session(self) -> None:
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

        info = SessionStartInfo(start_time_secs=time(), group_name="")
        names = self._about.searched or self._about.config
        for name in names:
            value = self._about.config.get(name)
            if isinstance(value, bool):
                info.hparams[name].bool_value = value
            elif isinstance(value, int | float):
                info.hparams[name].number_value = value
            elif value is not None:
                info.hparams[name].string_value = str(value)
        self._hparams("session_start_info", HParamsPluginData(session_start_info=info))

    def _end_session(self, status: Status) -> None:
        from tensorboard.plugins.hparams.api_pb2 import Status as Statuses
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        ended = Statuses.Value("STATUS_FAILURE" if status == "failed" else "STATUS_SUCCESS")
        info = SessionEndInfo(status=ended, end_time_secs=time())
        self._hparams("session_end_info", HParamsPluginData(session_end_info=info))

    def _hparams(self, name: str, data: Any) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

        plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=data.SerializeToString())
        metadata = SummaryMetadata(plugin_data=plugin)
        self._add(Summary.Value(tag=f"_hparams_/{name}", metadata=metadata))

    def _text(self, name: str, text: str) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()], tensor_shape=shape)
        plugin = SummaryMetadata.PluginData(plugin_name="text")
        metadata = SummaryMetadata(plugin_data=plugin)
        self._add(Summary.Value(tag=f"{name}/text_summary", metadata=metadata, tensor=tensor))

    def _add(self, value: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[value])
        self._writer.add_event(Event(wall_time=time(), step=self._step, summary=summary))


def _markdown(columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
    return " ".join(text.replace("|", "\\|").split())
