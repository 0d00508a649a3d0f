"""The trackers of one command, each behind a queue with a thread of its own.

Nothing here decides a result. A training puts numbers that it has anyway into a queue of bounded
length and goes on; what a slow tracker has no room for is dropped and counted, what fails is said
once, and the end of the work waits `MAX_WAIT` seconds at most.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from imgcli.config import NO_TRACKER, TRACKERS
from imgcli.documents import DocumentError, as_type, read_json
from imgcli.errors import ImgcliError, Interrupted, Refused, WrongUsage
from imgcli.progress import note, note_once
from imgcli.runs import FORMAT, Run
from imgcli.text import count
from imgcli.tracking.secrets import without_secrets
from imgcli.tracking.tracker import About, Address, Kind, Point, Status, Tracker

MAX_WAIT = 30.0  # seconds that the end of the work waits for all trackers together
# Messages of a tracker that has not kept up, of up to a hundred steps each; further values are
# dropped.
MAX_WAITING = 1_000
_ROOM = 1_000  # further messages that are no values: figures, tables, ends of runs
_AT_ONCE = 100  # messages with values that a tracker gets at once, if they wait
DOCUMENT = "tracking.json"  # in a run's folder: where its trackers keep it

Begin = Callable[[About, Address], Tracker]


def chosen_trackers(track: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """The names in `track`, each once; None where nothing is said, empty for "none".

    Raises:
        WrongUsage: a name that is unknown.
        Refused: a tracker whose package is not installed.
    """
    words = [track] if isinstance(track, str) else [*(track or ())]
    names = [name.strip() for word in words for name in word.split(",") if name.strip()]
    for name in names:
        if name not in TRACKERS and name != NO_TRACKER:
            known = ", ".join(TRACKERS)
            raise WrongUsage(f"--track {name} is not known; use {known}, or {NO_TRACKER}.")
    if NO_TRACKER in names:
        if {*names} != {NO_TRACKER}:
            raise WrongUsage(f"--track {NO_TRACKER} goes with no other --track.")
        return ()
    for name in names:
        if not _installed(name):
            raise Refused(
                f"--track {name} needs the package {TRACKERS[name]}, which is not installed. Get "
                "it with: pip install 'imgcli[track]'"
            )
    return tuple(dict.fromkeys(names)) or None


def _installed(name: str) -> bool:
    package = TRACKERS[name]
    return package is None or find_spec(package) is not None


@contextmanager
def trackers_of(asked: Sequence[str] | None, *folders: Path) -> Iterator["Trackers"]:
    """The trackers asked for, and those that the runs in `folders` have already.

    Args:
        asked: as `chosen_trackers` gives them; where it is empty, there are none at all.
    """
    begins = {name: _loaded(name) for name in asked or ()}
    if asked is None or asked:
        known = dict.fromkeys(name for folder in folders for name in known_trackers(folder))
        for name in sorted(known.keys() & TRACKERS.keys() - begins.keys()):
            if not _installed(name):
                note(f"'{name}', which tracks this run, is not installed: nothing is added there.")
                continue
            try:
                begins[name] = _loaded(name)
            except Refused as error:  # nobody asked for it now
                note(str(error))
    trackers = Trackers(begins, asked or ())
    try:
        yield trackers
    finally:
        trackers.close()


def _loaded(name: str) -> Begin:
    module = import_module(f"imgcli.tracking.{name}")
    try:
        module.load()
    except ImgcliError:
        raise
    except Exception as error:
        raise Refused(
            f"--track {name} cannot be used ({_reason(error)}). Fix its installation: "
            "pip install 'imgcli[track]'"
        ) from None
    begin: Begin = module.begin
    return begin


def known_trackers(folder: Path) -> Mapping[str, Address]:
    """Where the trackers of the run in a folder keep it, by the tracker.

    A damaged document is passed over, with a note: no result depends on it.
    """
    path = folder / DOCUMENT
    if not path.is_file():
        return {}
    try:
        return as_type(read_json(path, FORMAT)["trackers"], dict[str, dict[str, str]])
    except (OSError, DocumentError, LookupError, TypeError):
        note_once(f"'{path}' is damaged and passed over: trackers begin this run as a new one.")
        return {}


# --- what a training talks to -------------------------------------------------------------------


@dataclass(eq=False)
class TrackedRun:
    """A run that trackers follow. Every method returns at once; it begins at its first use.

    Used in a `with`, it ends as the block does, and its parts with it.
    """

    about: About
    _workers: "Sequence[_Worker]" = ()
    _known: Mapping[str, Address] = field(default_factory=dict)
    _parent: "TrackedRun | None" = None
    _key: int = field(default_factory=itertools.count().__next__)
    _begun: bool = False
    _ended: bool = False
    _children: "list[TrackedRun]" = field(default_factory=list)
    _last: float = 0.0  # when the last step, or the evaluation after an epoch, was over

    @property
    def followed(self) -> bool:
        """Whether there is any tracker."""
        return bool(self._workers)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Values of a step."""
        self._log([Point(step, time.time(), values)])

    def history(self, rows: Sequence[Mapping[str, Any]], steps: int) -> None:
        """Rows of a history, as they are added to it: of batches, or of parts after an epoch.

        Args:
            steps: finished by the last of them; iterations of a linear probe.
        """
        if not self._workers:
            return
        now, photos, points = time.time(), 0, []
        batches = [row for row in rows if "step" in row]
        for row, step in zip(batches, range(steps - len(batches) + 1, steps + 1), strict=True):
            photos += row["n"]
            values = {"batch/loss": row["loss"], "batch/learning_rate": row["lr"]}
            points.append(Point(step, now, {**values, "epoch": row["epoch"]}))
        if batches and self._last:
            rate = photos / max(now - self._last, 1e-9)
            points[-1] = Point(steps, now, {**points[-1].values, "batch/images_per_second": rate})
        objectives = [row for row in rows if row["part"] == "batch" and "step" not in row]
        points += [Point(row["epoch"], now, {"probe/objective": row["loss"]}) for row in objectives]
        after = {
            f"{row['part']}/{name}": row[name]
            for row in rows
            if row["part"] != "batch"
            for name in ("loss", "accuracy", "macro_precision", "macro_f1")
        }
        self._log([*points, Point(steps, now, after)] if after else points)
        self._last = now

    def steps_begin(self) -> None:
        """Steps follow: their images per second count from here."""
        self._last = time.time()

    def summary(self, values: Mapping[str, float]) -> None:
        """Final figures, which belong to no step."""
        self._send("summary", {name: value for name, value in values.items() if value is not None})

    def figure(self, name: str, file: Path) -> None:
        """A figure that is stored as a PNG."""
        self._send("figure", name, file)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table of results."""
        self._send("table", name, columns, rows)

    def artefact(self, file: Path) -> None:
        """A whole file, such as the report."""
        self._send("artefact", file)

    def child(
        self,
        name: str,
        kind: Kind,
        config: Mapping[str, Any] | None = None,
        searched: Sequence[str] = (),
    ) -> "TrackedRun":
        """A part of this run: a trial, a fold."""
        if not self._workers:
            return self
        own = self.about.config if config is None else config
        about = replace(
            self.about, name=name, kind=kind, config=own, searched=tuple(searched), adds=False
        )
        made = TrackedRun(about, self._workers, _parent=self)
        self._children.append(made)
        return made

    def finish(self, status: Status) -> None:
        """The end; of what has ended already, nothing."""
        for child in self._children:
            child.finish(status)
        self._children.clear()
        if self._begun and not self._ended:
            self._send("finish", status)
        self._ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish("finished")
        else:
            stopped = issubclass(kind, KeyboardInterrupt | Interrupted)
            self.finish("interrupted" if stopped else "failed")

    def begin(self) -> None:
        """Begin now, where it is not begun yet."""
        if self._begun:
            return
        self._begun = True
        self.about = replace(self.about, started=time.time())
        if self._parent is not None:
            self._parent.begin()
        parent = None if self._parent is None else self._parent._key
        for worker in self._workers:
            known = self._known.get(worker.name, {})
            worker.put(_Message(self._key, "begin", (parent, self.about, known)))

    def _log(self, points: Sequence[Point]) -> None:
        if points:
            self._send("log", points)

    def _send(self, method: str, *words: Any) -> None:
        if self._workers:
            self.begin()
            for worker in self._workers:
                worker.put(_Message(self._key, method, words))


class Trackers:
    """The trackers of one command.

    Args:
        begins: of each tracker, by its name.
        asked: those of them that follow every run; the others, only runs that they know.
    """

    def __init__(self, begins: Mapping[str, Begin], asked: Sequence[str] | None = None) -> None:
        self._asked = begins.keys() if asked is None else asked
        self._workers = [_Worker(name, begin) for name, begin in begins.items()]

    def run(self, about: About) -> TrackedRun:
        """A run at the top, to be followed; one that its trackers know is gone on with."""
        if not self._workers:
            return NOT_TRACKED
        known = known_trackers(about.folder)
        workers = [one for one in self._workers if one.name in self._asked or one.name in known]
        about = replace(about, group=about.name)
        return TrackedRun(about, workers, known)

    def close(self) -> None:
        """Wait until all is delivered, for `MAX_WAIT` at most, and say what is not."""
        end = time.monotonic() + MAX_WAIT
        for worker in self._workers:
            worker.put(_Message(-1, "end", ()))
        for worker in self._workers:
            worker.end(max(0.0, end - time.monotonic()))


# --- what talks to a tracker --------------------------------------------------------------------


@dataclass(frozen=True)
class _Message:
    run: int
    method: str  # of the tracker; or "begin", "end"
    words: tuple[Any, ...]


class _Worker:
    """A tracker's thread and the queue before it."""

    def __init__(self, name: str, begin: Begin) -> None:
        self.name = name
        self._start = begin
        self._lost = 0  # messages
        self._told = False
        self._closed = False
        self._waiting: deque[_Message] = deque()
        self._more = threading.Condition()
        self._runs: dict[int, Tracker] = {}
        self._folders: set[Path] = set()
        # A daemon: the process ends without waiting for what blocks in it.
        self._thread = threading.Thread(target=self._work, name=f"imgcli-{name}", daemon=True)
        self._thread.start()

    def put(self, message: _Message) -> None:
        """Let a message wait its turn, or drop it where too many wait."""
        most = MAX_WAITING if message.method == "log" else MAX_WAITING + _ROOM
        with self._more:
            if len(self._waiting) >= most and message.method != "end":
                self._lost += 1
                return
            self._waiting.append(message)
            self._more.notify()

    def end(self, seconds: float) -> None:
        """Wait for the thread, and say what it has not delivered."""
        self._thread.join(seconds)
        with self._more:
            self._closed = True
            stuck = self._thread.is_alive()
            lost = self._lost + sum(one.method not in ("end", "finish") for one in self._waiting)
            lost += stuck  # the one it is busy with
        if stuck:
            self._say(
                f"--track {self.name} did not answer in time: after waiting {MAX_WAIT:g} s, "
                f"{count(lost, 'message')} to it went undelivered. The results are not affected."
            )
        elif lost:
            self._say(
                f"--track {self.name} did not keep up: {count(lost, 'message')} to it "
                f"{'was' if lost == 1 else 'were'} dropped. The results are not affected."
            )
        if lost:
            for folder in self._folders:
                with suppress(OSError, ImgcliError):
                    _remember(folder, self.name, {"lost": str(lost)})

    def _work(self) -> None:
        while True:
            first, *others = self._next()
            if first.method == "end":
                return
            try:
                self._deliver(first, others)
            except (Exception, SystemExit) as error:  # whatever a library may do
                self._lost += 1 + len(others)
                self._say(
                    f"--track {self.name} failed ({_reason(error)}). The work goes on without it; "
                    f"what is lost is counted in {DOCUMENT}."
                )

    def _next(self) -> list[_Message]:
        """The next message and, of values, those for the same run that follow it."""
        with self._more:
            while not self._waiting:
                self._more.wait()
            found = [self._waiting.popleft()]
            while (
                found[0].method == "log"
                and len(found) < _AT_ONCE
                and self._waiting
                and (self._waiting[0].run, self._waiting[0].method) == (found[0].run, "log")
            ):
                found.append(self._waiting.popleft())
            return found

    def _deliver(self, first: _Message, others: Sequence[_Message]) -> None:
        if first.method == "begin":
            parent, about, known = first.words
            if parent is not None:
                if parent in self._runs:
                    self._runs[first.run] = self._runs[parent].child(about)
                else:
                    self._lost += 1
                return
            self._folders.add(about.folder)
            self._runs[first.run] = begun = self._start(about, known)
            _remember(about.folder, self.name, begun.address)
        elif first.run not in self._runs:  # which could not be begun
            self._lost += 1 + len(others)
        elif first.method == "log":
            points = [point for one in (first, *others) for point in one.words[0]]
            self._runs[first.run].log(points)
        else:
            getattr(self._runs[first.run], first.method)(*first.words)
            if first.method == "finish":
                del self._runs[first.run]

    def _say(self, sentence: str) -> None:
        """A note, the first time; a thread that was given up says nothing any more."""
        late = self._closed and threading.current_thread() is self._thread
        if not self._told and not late:
            self._told = True
            note(sentence)


_documents = threading.Lock()


def _remember(folder: Path, name: str, address: Address) -> None:
    """Keep where a tracker keeps the run of a folder."""
    with _documents:
        known = known_trackers(folder)
        new = {**known, name: {**known.get(name, {}), **address}}
        if new != known:
            Run(folder).write_json(DOCUMENT, {"trackers": new})


def _reason(error: BaseException) -> str:
    """Why something failed, in one line and without secrets."""
    text = without_secrets(" ".join(str(error).split()))
    shown = text if len(text) <= 300 else text[:297] + "..."
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


NOT_TRACKED = TrackedRun(About("", Path(), "train"))
NO_TRACKERS = Trackers({})
