"""Several photos on their way at once, where each is an object of its own behind a URI.

A request takes longer than the bytes of a photo, so those that come next are asked for early. The
order stays, and what is held at once is limited.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from queue import SimpleQueue

from imgcli.collect.imports.formats.source import LabelledPhotos
from imgcli.collect.imports.labelled_photo import MB, LabelledPhoto
from imgcli.records import Rejected

AT_ONCE = 16  # photos; more would only be throttled
HELD = 256 * MB  # bytes of photos that were asked for and not yet taken

_Work = tuple[Future[bytes], Callable[[], bytes]]


def read_ahead(items: LabelledPhotos, known: Callable[[LabelledPhoto], bool]) -> LabelledPhotos:
    """The items, with the photos that may be read early already under way.

    Args:
        known: whether a photo will not be read at all.
    """
    window: deque[tuple[LabelledPhoto | Rejected, int]] = deque()  # with the bytes held
    work: SimpleQueue[_Work | None] = SimpleQueue()
    threads = held = 0
    try:
        for item in items:
            size = item.ahead if isinstance(item, LabelledPhoto) and not known(item) else 0
            while window and (len(window) >= AT_ONCE or held + size > HELD):
                first, freed = window.popleft()
                held -= freed
                yield first
            if isinstance(item, LabelledPhoto) and size:
                if threads < AT_ONCE:  # daemons: whoever interrupts does not wait for them
                    threading.Thread(target=_read, args=(work,), daemon=True).start()
                    threads += 1
                future: Future[bytes] = Future()
                work.put((future, item.read))
                item = replace(item, read=future.result)
                held += size
            window.append((item, size))
            if isinstance(item, LabelledPhoto) and not item.ahead:
                # In an archive: to be read before the next one is looked for.
                yield from (one for one, _ in window)
                window.clear()
                held = 0
        yield from (one for one, _ in window)
    finally:
        for _ in range(threads):
            work.put(None)


def _read(work: SimpleQueue[_Work | None]) -> None:
    while (one := work.get()) is not None:
        future, read = one
        try:
            future.set_result(read())
        except BaseException as error:
            future.set_exception(error)
