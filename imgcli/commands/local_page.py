"""Shows queues of decisions on a page of this machine, for `review` and `label`."""

import webbrowser
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from imgcli.errors import Refused
from imgcli.progress import note

if TYPE_CHECKING:
    from imgcli.photos.open_batch import OpenBatch
    from imgcli.review.queue import Queue
    from imgcli.review.server import Further


def page_server() -> Any:
    """The module of the page's server.

    Raises:
        Refused: what it needs is not installed.
    """
    try:
        return import_module("imgcli.review.server")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise Refused(
            "The page needs starlette and uvicorn. Get them with: pip install 'imgcli[review]'"
        ) from None


def show_page(
    title: str,
    queues: Mapping[str, "Queue"],
    batches: Iterable["OpenBatch"],
    port: int,
    browser: bool,
    further: Sequence["Further"] = (),
) -> str:
    """Serve queues until Ctrl-C, and close the batches that photos were moved in; the address.

    Raises:
        StorageError: the port is taken.
    """
    server = page_server()
    listener = server.listening(port)
    port, token = listener.getsockname()[1], server.new_token()
    app = server.make_app(title, queues, token, port, further)
    address = f"http://{server.HOST}:{port}/?token={token}"
    note(f"Open {address}")
    if queues:
        note("Each decision is carried out at once, and u takes it back. Ctrl-C ends.")
    if browser:
        webbrowser.open(address)
    try:
        server.serve(app, listener)
    finally:
        listener.close()
        for batch in batches:
            batch.close()
    return address
