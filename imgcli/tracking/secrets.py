"""Texts without passwords: of addresses, and of the environment."""

import os
import re

_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]*@")
_NAMES = re.compile(r"(KEY|TOKEN|PASSWORD|SECRET)", re.IGNORECASE)
_SHORTEST = 6  # characters of a secret; a shorter one may be a word


def without_secrets(text: str) -> str:
    """A text as it may be shown or stored: user and password left out of addresses, keys masked."""
    text = _IN_ADDRESS.sub("", text)
    for name, value in os.environ.items():
        if _NAMES.search(name) and len(value) >= _SHORTEST:
            text = text.replace(value, "***")
    return text
