"""URIs: what is one, its scheme and its path, and how it may be shown and stored."""

import re

# In object stores a "?" may stand in a name; behind it a signature is none of the name.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "hf"}
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_USER = re.compile(r"^[^/]*@")
_SIGNED = re.compile(
    r"\?(.*&)?(X-Amz-|X-Goog-|AWSAccessKeyId=|GoogleAccessId=|Signature=|sig=|token=).*",
    re.IGNORECASE | re.DOTALL,
)


def is_uri(text: str) -> bool:
    """Whether a text names something by scheme://, wherever that is."""
    return _URI.match(text) is not None


def split_uri(uri: str) -> tuple[str, str]:
    """Scheme in lower case, and what follows the "://".

    Raises:
        ValueError: not a URI.
    """
    found = _URI.match(uri)
    if found is None:
        raise ValueError(f"'{uri}' is no URI")
    return found[1].lower(), found[2]


def has_user(uri: str) -> bool:
    """Whether a user or a password stands before the host."""
    return _USER.match(split_uri(uri)[1]) is not None


def shown(uri: str) -> str:
    """A URI as it may be shown and stored: without user, password and signed query."""
    scheme, rest = split_uri(uri)
    rest = _USER.sub("", rest)
    if scheme not in OBJECT_STORES:
        rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    return f"{scheme}://{_SIGNED.sub('', rest)}"
