"""Queues of a folder of photos, and their page on a real server of this machine."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import uvicorn

from imgcli.photos.layout import find_photos
from imgcli.photos.open_batch import OpenBatch
from imgcli.photos.relabel import Destinations, Origin
from imgcli.reading import digest_of
from imgcli.review import server
from imgcli.review.kept import Kept
from imgcli.review.labels import Doubt, label_queue
from imgcli.review.pictures import Pictures, Source
from imgcli.review.queue import Queue


def doubtful(root: Path, name: str = "labels") -> Queue:
    """Every photo of class folders with its label in doubt; the next class is suggested."""
    layout = find_photos(root)
    classes = layout.classes
    doubts, sources = [], {}
    for number, (path, place) in enumerate(sorted(layout.photos.items())):
        sha256 = digest_of(root / path)
        other = classes[(classes.index(place.label) + 1) % len(classes)]
        sources[f"p{number}"] = Source(root / path, sha256)
        doubts.append(
            Doubt(
                id=f"p{number}",
                path=path,
                origin=Origin(path, sha256),
                label=place.label,
                suggestion=other,
                top=((other, 0.9), (place.label, 0.1)),
                confidence=0.9,
                reason="It looks like the other one.",
                source="web" if number % 2 else "phone",
            )
        )
    return label_queue(
        name,
        "Labels to review",
        "Predictions contradict them.",
        doubts,
        classes,
        OpenBatch(root),
        Destinations.of(layout, root),
        Pictures(sources),
        kept=Kept("labels", root.parent / "reviewed.jsonl"),
        beside=lambda item: (),
    )


@dataclass(frozen=True)
class Page:
    """A page that is served, and someone who may use it."""

    port: int
    token: str
    session: requests.Session

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(f"{self.address}{path}", timeout=30, **options)

    def post(self, path: str, body: object, **options: Any) -> requests.Response:
        return self.session.post(f"{self.address}{path}", json=body, timeout=30, **options)

    def items(self, queue: str, **wanted: str) -> list[dict[str, Any]]:
        return list(self.get(f"/api/{queue}/items", params=wanted).json()["items"])

    def decide(self, queue: str, *items: str, choice: str) -> dict[str, Any]:
        answer = self.post(f"/api/{queue}/decide", {"items": list(items), "choice": choice})
        return dict(answer.json())

    def undo(self, queue: str) -> dict[str, Any]:
        return dict(self.post(f"/api/{queue}/undo", {}).json())


@contextmanager
def served(queues: Mapping[str, Queue], further: Sequence[server.Further] = ()) -> Iterator[Page]:
    """The page of queues, and of others, entered with its token."""
    listener, token = server.listening(), server.new_token()
    port = listener.getsockname()[1]
    app = server.make_app("raw", queues, token, port, further)
    config = uvicorn.Config(app, log_level="error", lifespan="off")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    with requests.Session() as session:
        page = Page(port, token, session)
        page.get(f"/?token={token}")
        yield page
    running.should_exit = True
    thread.join()
    listener.close()
