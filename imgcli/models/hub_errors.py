"""What the Hugging Face hub, or the network before it, refuses: a sentence with the remedy each."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from imgcli.errors import Refused
from imgcli.files import FULL
from imgcli.text import reason_of

TOKENS = "https://huggingface.co/settings/tokens"
_LOGIN = f"set HF_TOKEN to a token of {TOKENS}, or log in once with `hf auth login`"
# Classes of the library that huggingface_hub asks the network with, by their names.
_SLOW = {"TimeoutException", "TimeoutError"}
_CUT = {"NetworkError", "RemoteProtocolError", "ConnectionError", "TransportError"}


class Asked(NamedTuple):
    """What was asked of a hub."""

    repo: str  # owner/name
    endpoint: str  # the hub's address
    writes: bool = False  # else reads
    revision: str | None = None


def no_token(asked: Asked) -> Refused:
    """The refusal where there is no token to write with."""
    return Refused(
        f"There is no token to write to '{asked.repo}' at {asked.endpoint} with: {_LOGIN}. The "
        "token needs the permission to write."
    )


def offline(asked: Asked) -> Refused:
    """The refusal where the environment forbids the network."""
    return Refused(
        f"'{asked.repo}' is at {asked.endpoint}, and HF_HUB_OFFLINE is set, which forbids to ask "
        "it. Unset HF_HUB_OFFLINE and run the command again."
    )


def unreachable(asked: Asked) -> Refused:
    """The refusal where nothing answers."""
    return Refused(
        f"{asked.endpoint}, where '{asked.repo}' is, cannot be reached. Check the network, and "
        "HF_ENDPOINT and the proxy if they are set, and run the command again."
    )


def refusal(error: Exception, asked: Asked, place: Path | None = None) -> Refused:
    """The sentence on what was refused.

    Args:
        place: where files were being written.

    Raises:
        OSError: the disk is full, which is not the hub's.
    """
    from huggingface_hub import errors, get_token

    each = list(_chain(error))
    for one in each:
        if isinstance(one, OSError) and one.errno in FULL:
            raise OSError(one.errno, one.strerror, str(place or one.filename)) from None
    names = {kind.__name__ for one in each for kind in type(one).__mro__}
    repo, at = asked.repo, asked.endpoint
    if "OfflineModeIsEnabled" in names:
        return offline(asked)
    if any(isinstance(one, errors.RevisionNotFoundError) for one in each):
        return Refused(
            f"'{repo}' at {at} has no revision '{asked.revision}'. Name a branch, a tag or a "
            "commit of it, or leave out the @."
        )
    if any(isinstance(one, errors.GatedRepoError) for one in each):
        return Refused(
            f"'{repo}' at {at} is gated. Ask for access on its page, {at}/{repo}, and {_LOGIN}."
        )
    status = next(filter(None, map(_status, each)), None)
    has_token = get_token() is not None
    if status is not None:
        return Refused(_of_status(status, asked, has_token, error))
    if names & _SLOW:
        return Refused(
            f"{at} did not answer in time about '{repo}'. Run the command again, with a higher "
            "HF_HUB_DOWNLOAD_TIMEOUT if the network is slow."
        )
    if "ProxyError" in names:
        return Refused(
            f"The proxy before {at} refused the connection ({_first_line(error)}). Check "
            "HTTPS_PROXY, and run the command again."
        )
    if names & _CUT:
        return Refused(
            f"The connection to {at} broke while '{repo}' was "
            f"{'written' if asked.writes else 'read'}. Run the command again."
        )
    return Refused(
        f"{at} and '{repo}': {_first_line(error)}. Run the command again; if that does not help, "
        "look at the repository's page."
    )


def _of_status(status: int, asked: Asked, has_token: bool, error: Exception) -> str:
    repo, at = asked.repo, asked.endpoint
    owner = repo.partition("/")[0]
    if status == 401 and has_token:
        return (
            f"{at} does not accept the token ({status}), or '{repo}' is not there. Check the name "
            f"and HF_TOKEN, or log in again with `hf auth login`; tokens are made at {TOKENS}."
        )
    if status in (401, 404):
        if asked.writes:
            return f"{at} has no '{repo}' that may be written to ({status}): {_LOGIN}."
        login = "" if has_token else f"; of a private one, {_LOGIN}"
        return f"{at} has no repository '{repo}' ({status}). Check its owner and name{login}."
    if status == 403:
        may = "write to" if asked.writes else "read"
        return (
            f"The token may not {may} '{repo}' at {at} ({status}). Take a token with that "
            f"permission for '{owner}' from {TOKENS}, or name a repository of your own."
        )
    if status == 409:
        return (
            f"{at} refused to write to '{repo}', which something else is changing ({status}). Run "
            "the command again."
        )
    if status == 429:
        return f"{at} wants fewer requests ({status}). Wait some minutes and run the command again."
    if status >= 500:
        return f"{at} failed ({status}) about '{repo}'. Run the command again in some minutes."
    return (
        f"{at} refused '{repo}' ({status}): {_first_line(error)}. Check the name, the token and "
        "the account's limits."
    )


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen: set[int] = set()
    ahead: list[BaseException | None] = [error]
    while ahead:
        one = ahead.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        ahead += [one.__cause__, one.__context__]


def _first_line(error: Exception) -> str:
    """The first line of what a library says was the cause, without a token that may be in it."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    text, token = reason_of(error), os.environ.get("HF_TOKEN", "")
    return text.replace(token, "…") if token else text
