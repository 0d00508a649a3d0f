"""The local page of a review: queues shown in the browser, and decisions taken back from it.

Only this machine is listened to, and only who has the token is answered: it comes with the address
that is opened, and stays in a cookie that no other site can send. A request under another host's
name, or from another origin, is refused, so that no page elsewhere can decide anything. Photos are
asked for by the ids of a queue, never by paths.
"""

import asyncio
import json
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imgcli.errors import ImgcliError, StorageError, WrongUsage
from imgcli.review.pictures import SIDES
from imgcli.review.queue import Item, Queue, Wanted
from imgcli.text import printable

HOST = "127.0.0.1"
COOKIE = "imgcli-review"
AT_ONCE = 60  # items sent with one request
MAX_BODY = 1 << 20  # bytes of a request
STATIC = Path(__file__).parent / "static"
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def listening(port: int = 0) -> socket.socket:
    """A socket of this machine alone.

    Raises:
        StorageError: the port is taken.
    """
    # Named as TCP: else asyncio lets an answer wait 40 ms for more to send.
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen()  # a browser that is opened before the page answers waits for it
    except OSError as error:
        found.close()
        raise StorageError(
            f"Port {port} of this machine cannot be used ({error.strerror}). Choose another "
            "--port, or leave it out for any free one."
        ) from None
    return found


@dataclass(frozen=True)
class Further:
    """A page that shows something else than a queue; it is made when it is first asked for."""

    name: str  # its path, and the beginning of the paths of all that it needs
    title: str
    routes: Callable[[], Sequence[BaseRoute]]


def make_app(
    title: str,
    queues: Mapping[str, Queue],
    token: str,
    port: int,
    further: Sequence[Further] = (),
) -> Starlette:
    """The application that shows queues, and takes decisions.

    Args:
        title: what is reviewed, for people.
        queues: by name, in the order in which they are offered.
        token: who has it is answered.
        further: other pages; one at least where there is no queue.
    """
    pages = _Pages(title, dict(queues), further)
    routes: list[BaseRoute] = [
        Route("/", pages.first),
        Route("/static/{name}", _static),
        Route("/api/{queue}/items", pages.items),
        Route("/api/{queue}/items/{item}", pages.item),
        Route("/api/{queue}/decide", pages.decide, methods=["POST"]),
        Route("/api/{queue}/undo", pages.undo, methods=["POST"]),
        Route("/photo/{queue}/{side:int}/{photo}", pages.photo),
        *(Route(f"/{one.name}{{rest:path}}", _Later(one.routes)) for one in further),
        Route("/{queue}", pages.page),
    ]
    guard = Middleware(Guard, token=token, port=port)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={ImgcliError: _refused})


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


# --- who is answered ----------------------------------------------------------------------------


class Guard:
    """Answers requests of the page itself alone, and says so of everything that is sent."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{host}:{port}" for host in (HOST, "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        answer = self._answer(request)
        sender = partial(_with_headers, send)
        await (answer or self._app)(scope, receive, sender)

    def _answer(self, request: Request) -> Response | None:
        """The answer to a request that the application never sees."""
        if request.headers.get("host", "") not in self._hosts:
            return _plain("This address answers under its own name only.", 421)
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return _plain("Requests of other sites are not answered.", 403)
        origin = request.headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in self._hosts:
            return _plain("Requests of other sites are not answered.", 403)
        if _is_same(request.cookies.get(COOKIE, ""), self._token):
            return None
        if request.method == "GET" and _is_same(request.query_params.get("token", ""), self._token):
            entered = RedirectResponse(request.url.path, 303)
            entered.set_cookie(COOKIE, self._token, httponly=True, samesite="strict", path="/")
            return entered
        return _plain("Open the address that imgcli printed, with its token.", 403)


def _is_same(given: str, expected: str) -> bool:
    return secrets.compare_digest(given.encode(), expected.encode())


def _plain(text: str, status: int) -> Response:
    return PlainTextResponse(text + "\n", status)


async def _with_headers(send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        added = {name.lower().encode(): value.encode() for name, value in HEADERS.items()}
        names = {name for name, _ in message["headers"]}
        if b"cache-control" not in names:
            added[b"cache-control"] = b"no-store"
        message = {**message, "headers": [*message["headers"], *added.items()]}
    await send(message)


def _refused(_: Request, error: Exception) -> Response:
    """A decision that cannot be carried out: its sentence."""
    return _Json({"error": printable(str(error))}, 409)


# --- what is answered ---------------------------------------------------------------------------


class _Json(Response):
    """A JSON document; names that are not UTF-8 survive as escapes."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode()


class _Pages:
    """The routes of the queues."""

    def __init__(self, title: str, queues: dict[str, Queue], further: Sequence[Further]) -> None:
        self._title, self._queues, self._further = title, queues, further
        self._templates = Environment(
            loader=PackageLoader("imgcli.review"), autoescape=True, undefined=StrictUndefined
        )

    async def first(self, _: Request) -> Response:
        """The first queue in which there is something to decide."""
        names = [name for name, queue in self._queues.items() if queue.waiting()]
        others = [*self._queues, *(one.name for one in self._further)]
        return RedirectResponse(f"/{(names or others)[0]}", 303)

    async def page(self, request: Request) -> Response:
        name = request.path_params["queue"]
        if name not in self._queues:
            return _plain("There is no such page here.", 404)
        text = self._templates.get_template("review.html").render(
            title=printable(self._title),
            queues=self._queues,
            further=self._further,
            here=self._queues[name],
        )
        return Response(text.encode("utf-8", "replace"), media_type="text/html")

    async def items(self, request: Request) -> Response:
        queue, asked = self._queue(request), request.query_params
        wanted = Wanted(
            asked.get("label", ""),
            asked.get("source", ""),
            asked.get("text", ""),
            _number(asked.get("least"), 0.0),
            _number(asked.get("most"), 1.0),
        )
        start, most = int(_number(asked.get("start"), 0)), int(_number(asked.get("n"), AT_ONCE))

        def found() -> dict[str, Any]:
            waiting = queue.waiting(wanted)
            return {
                "items": [_item(i, queue) for i in waiting[start : start + min(most, AT_ONCE)]],
                "found": len(waiting),
                **_state(queue),
            }

        return await _json(found)

    async def item(self, request: Request) -> Response:
        queue, name = self._queue(request), request.path_params["item"]

        def found() -> dict[str, Any]:
            item = queue.item(name)
            return {**_item(item, queue), "beside": [asdict(strip) for strip in queue.beside(item)]}

        return await _json(found)

    async def decide(self, request: Request) -> Response:
        queue, body = self._queue(request), await _body(request)
        names, choice = body.get("items"), body.get("choice")
        if not isinstance(names, list) or not isinstance(choice, str):
            raise WrongUsage("A decision names its items and its choice.")

        def done() -> dict[str, Any]:
            refused = []
            for name in names:
                try:
                    queue.decide(str(name), choice)
                except (ImgcliError, OSError) as error:
                    refused.append({"item": name, "error": printable(_sentence(error))})
            return {"refused": refused, **_state(queue)}

        return await _json(done)

    async def undo(self, request: Request) -> Response:
        queue = self._queue(request)
        await _body(request)

        def done() -> dict[str, Any]:
            item = queue.undo()
            return {"item": None if item is None else _item(item, queue), **_state(queue)}

        return await _json(done)

    async def photo(self, request: Request) -> Response:
        queue, side = self._queue(request), request.path_params["side"]
        if side not in SIDES:
            return _plain("Photos are sent in other sizes.", 404)
        made = await run_in_threadpool(queue.picture, request.path_params["photo"], side)
        if made is None:
            return _plain("This photo is gone, has changed or cannot be read.", 404)
        return Response(
            made, media_type="image/webp", headers={"Cache-Control": "private, max-age=600"}
        )

    def _queue(self, request: Request) -> Queue:
        name = request.path_params["queue"]
        if name not in self._queues:
            raise WrongUsage(f"There is nothing called '{name}' to review here.")
        return self._queues[name]


class _Later:
    """An application that is made when it is first asked for."""

    def __init__(self, routes: Callable[[], Sequence[BaseRoute]]) -> None:
        self._routes = routes
        self._app: Starlette | None = None
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._turn:
                if self._app is None:
                    self._app = Starlette(routes=await run_in_threadpool(self._routes))
        except (ImgcliError, OSError) as error:
            await _plain(printable(_sentence(error)), 409)(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    file = STATIC / name
    if name not in {entry.name for entry in STATIC.iterdir()} or file.suffix not in KINDS:
        return _plain("There is no such file here.", 404)
    return Response(file.read_bytes(), media_type=KINDS[file.suffix])


async def _body(request: Request) -> dict[str, Any]:
    """The JSON document that a request brings; nothing else can be a request of the page."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise WrongUsage("A decision is sent as JSON.")
    if int(_number(request.headers.get("content-length"), MAX_BODY + 1)) > MAX_BODY:
        raise WrongUsage("A decision is not so long.")
    try:
        found = await request.json()
    except ValueError:
        raise WrongUsage("A decision is sent as JSON.") from None
    if not isinstance(found, dict):
        raise WrongUsage("A decision is sent as a JSON object.")
    return found


async def _json(work: Callable[[], dict[str, Any]]) -> Response:
    """What some work on the disk says, done aside so that pictures do not wait for it."""
    return _Json(await run_in_threadpool(work))


def _item(item: Item, queue: Queue) -> dict[str, Any]:
    """An item as the page has it; names as they can be shown, ids as they are."""
    found = asdict(item)
    found["question"], found["reason"] = _shown(item.question), _shown(item.reason)
    for photo in found["photos"]:
        photo["name"], photo["caption"] = printable(photo["name"]), _shown(photo["caption"])
        photo["why"] = photo["id"] in queue.maps
    return found


def _shown(text: str) -> str:
    """A text in which no line ends between a number and its sign."""
    return printable(text).replace(" %", "\u00a0%")


def _state(queue: Queue) -> dict[str, Any]:
    """How far one has come, and what items can be filtered by."""
    waiting = queue.waiting()
    return {
        "progress": asdict(queue.progress()),
        "estimate": queue.estimate,
        "further_classes": queue.further_classes,
        "labels": sorted({item.label for item in waiting if item.label}),
        "sources": sorted({item.source for item in waiting if item.source}),
    }


def _number(text: str | None, default: float) -> float:
    try:
        value = float(text) if text else default
    except ValueError:
        return default
    return value if 0 <= value < 1e9 else default


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"It cannot be written ({error.strerror or error}). Free some space, and try again."
    return str(error)


def serve(app: Starlette, listener: socket.socket) -> None:
    """Answer until Ctrl-C; a request that is being carried out is finished."""
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    with suppress(KeyboardInterrupt):  # which uvicorn raises once more when it has ended
        uvicorn.Server(config).run(sockets=[listener])
