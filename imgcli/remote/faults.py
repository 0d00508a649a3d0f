"""What storage libraries and hosts refuse: which kind of fault it is, and the sentence on it.

The libraries' errors share no base class, so a fault is told by the names of the classes and the
status codes in an error's chain of causes.
"""

import errno
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any

from imgcli.remote.uris import shown, split_uri
from imgcli.text import reason_of


class Kind(Enum):
    """What went wrong."""

    MISSING = auto()
    DENIED = auto()
    NO_CREDENTIALS = auto()
    UNREACHABLE = auto()
    BUSY = auto()  # throttled or failing for now: another try may succeed
    BROKEN = auto()  # a connection that broke off: another try may succeed
    CHANGED = auto()
    OTHER = auto()


_NAMES = {
    Kind.NO_CREDENTIALS: {
        *("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "ConfigNotFound"),
        *("TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"),
        *("CredentialRetrievalError", "DefaultCredentialsError", "ClientAuthenticationError"),
    },
    Kind.CHANGED: {"FileExpired", "Changed"},
    Kind.UNREACHABLE: {
        *("EndpointConnectionError", "ConnectTimeoutError", "ClientConnectorError", "gaierror"),
        *("ConnectError", "ConnectTimeout", "ConnectionRefusedError", "ProxyConnectionError"),
        *("ClientConnectorDNSError", "NameResolutionError"),
    },
    Kind.BROKEN: {
        *("HTTPClientError", "ClientPayloadError", "IncompleteRead", "ReadTimeoutError"),
        *("ResponseStreamingError", "ResponseParserError", "ConnectionClosedError"),
        *("ServerDisconnectedError", "ClientOSError", "ConnectionResetError", "TimeoutError"),
        *("FSTimeoutError", "TimeoutException", "NetworkError", "RemoteProtocolError"),
        *("ChunkedEncodingError", "BrokenPipeError", "Short", "EOFError", "ConnectionError"),
    },
}
_CODES = {
    **dict.fromkeys(("NoSuchBucket", "NoSuchKey", "404", "NotFound"), Kind.MISSING),
    **dict.fromkeys(("AccessDenied", "403", "AllAccessDisabled", "Forbidden"), Kind.DENIED),
    **dict.fromkeys(
        ("ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "401"),
        Kind.NO_CREDENTIALS,
    ),
    **dict.fromkeys(("PreconditionFailed", "412"), Kind.CHANGED),
    **dict.fromkeys(
        (
            *("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling"),
            *("ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "OperationAborted"),
            *("408", "429", "500", "502", "503", "504"),
        ),
        Kind.BUSY,
    ),
}
_ERRNO = {
    errno.EBUSY: Kind.BUSY,
    errno.EREMOTEIO: Kind.BUSY,
    errno.ENOENT: Kind.MISSING,
    errno.EACCES: Kind.DENIED,
}
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s\"'<>]+")
_OFFLINE = "OfflineModeIsEnabled"
_NOT_ON_HUB = {
    *("RepositoryNotFoundError", "RevisionNotFoundError", "EntryNotFoundError"),
    "HFValidationError",
}
RETRIED = {Kind.UNREACHABLE, Kind.BUSY, Kind.BROKEN}


class Changed(OSError):
    """An object that is no longer the one that was listed."""


class Short(OSError):
    """Fewer bytes than were asked for."""


def kind_of(error: BaseException) -> Kind:
    """What kind of fault an error is, by it and what it came from."""
    each = list(_chain(error))
    names = [{kind.__name__ for kind in type(one).__mro__} for one in each]
    if any({"GatedRepoError", _OFFLINE} & found for found in names):
        return Kind.DENIED
    if any(_NOT_ON_HUB & found for found in names):  # of status 401, if it may be a private one
        return Kind.MISSING
    for one in each:
        for code in _codes(one):
            if code in _CODES:
                return _CODES[code]
    for kind, known in _NAMES.items():
        if any(known & found for found in names):
            return kind
    for one in each:
        if isinstance(one, FileNotFoundError):
            return Kind.MISSING
        if isinstance(one, PermissionError) or str(one).startswith("Forbidden"):  # as gcsfs says it
            return Kind.DENIED
        if isinstance(one, OSError) and one.errno in _ERRNO:
            return _ERRNO[one.errno]
    of_aiohttp = any(type(one).__module__.startswith("aiohttp") for one in each)
    return Kind.BROKEN if of_aiohttp else Kind.OTHER


def words(error: BaseException, uri: str) -> str:
    """What a library says, in one line, without secrets that may stand in an address."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    text = reason_of(error) if isinstance(error, Exception) else type(error).__name__
    return _ADDRESS.sub(lambda found: shown(found[0]), text)


def looks_for(scheme: str) -> str:
    """Where the library of a scheme looks for credentials."""
    return _CREDENTIALS.get(scheme, "see the documentation of its fsspec library")


_CREDENTIALS = {
    **dict.fromkeys(
        ("s3", "s3a"),
        "AWS_PROFILE, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials; "
        "AWS_ENDPOINT_URL names a server other than Amazon's",
    ),
    **dict.fromkeys(
        ("gs", "gcs"),
        "GOOGLE_APPLICATION_CREDENTIALS, or what `gcloud auth application-default login` writes "
        "into ~/.config/gcloud",
    ),
    "hf": "HF_TOKEN, or what `hf auth login` writes",
    **dict.fromkeys(
        ("az", "abfs", "abfss", "adl"),
        "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME with "
        "AZURE_STORAGE_ACCOUNT_KEY",
    ),
}


def sentence(error: BaseException, uri: str, has_key: bool = True) -> str:
    """The whole message on a URI that cannot be listed or read.

    Args:
        has_key: whether the library found credentials.
    """
    scheme, rest = split_uri(uri)
    name, top = shown(uri), f"{scheme}://{rest.split('/')[0].rpartition('@')[2]}"
    kind = kind_of(error)
    if scheme == "hf" and kind in (Kind.MISSING, Kind.DENIED):
        return _on_hub(error, name, has_token=has_key)
    match kind:
        case Kind.MISSING:
            return (
                f"There is no '{name}'. Check the name of the bucket and the path in it; names "
                "are told apart by case."
            )
        case Kind.DENIED if has_key:
            return (
                f"Access to '{name}' is denied: the credentials found may not list and read it. "
                f"Take others ({looks_for(scheme)}), or ask the owner of {top} for permission."
            )
        case Kind.DENIED | Kind.NO_CREDENTIALS:
            return (
                f"'{name}' is not open to everybody, and no valid credentials were found "
                f"({words(error, uri)}). Where they are looked for: {looks_for(scheme)}."
            )
        case Kind.UNREACHABLE:
            return (
                f"The server of '{name}' cannot be reached ({words(error, uri)}). Check the "
                f"network{_endpoint(scheme)}, and run the command again."
            )
        case Kind.BUSY | Kind.BROKEN:
            return (
                f"The server of '{name}' does not answer as it should ({words(error, uri)}), "
                "though asked several times. Run the command again in some minutes."
            )
    return f"'{name}' cannot be read ({words(error, uri)}). Check the address."


def _on_hub(error: BaseException, name: str, has_token: bool) -> str:
    names = {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}
    login = "set HF_TOKEN to a token of yours, or log in once with `hf auth login`"
    if _OFFLINE in names:
        return (
            f"'{name}' is on the hub, and HF_HUB_OFFLINE is set, which forbids to ask it. Unset "
            "HF_HUB_OFFLINE and run the command again."
        )
    if "GatedRepoError" in names:
        return f"'{name}' is gated. Ask for access on its page on the hub, and {login}."
    if "RevisionNotFoundError" in names:
        return (
            f"'{name}' has no such revision. Name a branch, a tag or a commit of it after the @, "
            "or leave it out."
        )
    private = f"; if it is private, {login}"
    if has_token:
        private = "; if it is private, take a token that may read it"
    return f"There is no '{name}' on the hub. Check its owner, its name and the path{private}."


def _endpoint(scheme: str) -> str:
    names = {"s3": "AWS_ENDPOINT_URL", "s3a": "AWS_ENDPOINT_URL", "hf": "HF_ENDPOINT"}
    names |= dict.fromkeys(("gs", "gcs"), "STORAGE_EMULATOR_HOST")
    return f", and {names[scheme]} if it is set" if scheme in names else ""


def _codes(error: BaseException) -> Iterator[str]:
    """The status and error codes that an error carries, in whichever way its library does."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):  # of botocore
        yield str(response.get("Error", {}).get("Code", ""))
        yield str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    elif response is not None:
        yield str(getattr(response, "status_code", ""))
    yield str(getattr(error, "code", None))
    yield str(getattr(error, "status", None))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen: set[int] = set()
    ahead: list[BaseException | None] = [error]
    while ahead:
        one = ahead.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            ahead += [one.__cause__, None if one.__suppress_context__ else one.__context__]
