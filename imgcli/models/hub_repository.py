"""Weights of any repository of the Hugging Face hub: `--weights hf://owner/name[@revision]`.

The files come through huggingface_hub's own cache, and are read as any folder of weights is: as
data. A training keeps the commit that a branch or a tag stood for, so that it can be repeated.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from imgcli.errors import ModelError, WrongUsage
from imgcli.models.hub import is_reachable
from imgcli.models.hub_errors import Asked, offline, refusal, unreachable
from imgcli.models.weights_cache import FOLDER_FILES, hub_cache
from imgcli.progress import is_quiet, note_once
from imgcli.text import reason_of

SCHEME = "hf://"
CONFIG = "config.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([^\s@]+))?")


class Repository(NamedTuple):
    """A repository of the hub, at a branch, a tag or a commit; None: at its main branch."""

    repo: str  # owner/name
    revision: str | None


def is_hub(weights: str | None) -> bool:
    """Whether weights are named as those of a repository of the hub."""
    return weights is not None and weights.startswith(SCHEME)


def repository(weights: str) -> Repository:
    """The repository of `hf://owner/name[@revision]`.

    Raises:
        WrongUsage: it is not of that form.
    """
    match = _NAME.fullmatch(weights)
    if match is None:
        raise WrongUsage(
            f"--weights {weights} is not hf://OWNER/NAME or hf://OWNER/NAME@REVISION, such as "
            "hf://timm/resnet18.a1_in1k."
        )
    return Repository(match[1], match[2])


def pinned(weights: str) -> str:
    """The same weights by their commit, as a training keeps them; config.json is fetched.

    Raises:
        WrongUsage: as of `repository`.
        ModelError: the repository cannot be read, or holds no weights.
    """
    files = _Files(repository(weights))
    first = files.first((CONFIG, *FOLDER_FILES))
    return f"{SCHEME}{files.of.repo}@{first.parent.name}"


def config_of(weights: str) -> Mapping[str, Any]:
    """What config.json says of a repository, or of a folder on disk; empty without one."""
    if is_hub(weights):
        file = _Files(repository(weights)).get(CONFIG)
    else:
        file = Path(weights) / CONFIG
    with suppress(OSError, ValueError, TypeError):
        found = json.loads(file.read_bytes()) if file is not None else {}
        return found if isinstance(found, dict) else {}
    return {}


def weights_folder(weights: str) -> Path:
    """The folder in huggingface_hub's cache with a repository's weights, fetched if need be.

    Raises:
        ModelError: as of `pinned`.
    """
    files = _Files(repository(weights))
    files.get(CONFIG)
    file = files.first(FOLDER_FILES)
    if file.suffix == ".json":  # of several files
        for name in _shards(file):
            if files.get(name) is None:
                raise files.missing(
                    f"'{files.of.repo}' lacks '{name}', which its {file.name} names. Take other "
                    "weights, or ask its owner."
                )
    return file.parent


def weights_path(weights: str) -> Path:
    """The file or folder of weights on this disk, those of the hub fetched if need be.

    Raises:
        ModelError: as of `pinned`.
    """
    return weights_folder(weights) if is_hub(weights) else Path(weights)


def _shards(index: Path) -> list[str]:
    """The files that an index names; none where it is damaged, as its reader then says."""
    try:
        places = json.loads(index.read_bytes())["weight_map"].values()
        return [Path(str(name)).name for name in dict.fromkeys(places)]
    except (OSError, ValueError, KeyError, AttributeError):
        return []


class _Files:
    """The files of a repository, from the cache or fetched."""

    def __init__(self, of: Repository) -> None:
        from huggingface_hub import constants

        self.of = of
        self.asked = Asked(of.repo, constants.ENDPOINT, revision=of.revision)
        self.offline = bool(constants.is_offline_mode())
        self.fixed = _COMMIT.fullmatch(of.revision or "") is not None  # the same at all times

    @cached_property
    def answers(self) -> bool:
        """Whether the hub can be asked; found once, for where it cannot that takes a second."""
        return not self.offline and is_reachable(self.asked.endpoint)

    def first(self, names: Sequence[str]) -> Path:
        """The first of several files that is there.

        Raises:
            ModelError: none is, or the hub refuses.
        """
        for name in names:
            if (file := self.get(name)) is not None:
                return file
        raise self.missing(
            f"The repository '{self.of.repo}' holds no weights that are read here, for it has none "
            f"of {', '.join(FOLDER_FILES)}. Name a repository with weights of PyTorch."
        )

    def missing(self, sentence: str) -> ModelError:
        """The refusal of a file that is not there; where the hub cannot be asked, nobody knows."""
        if self.answers:
            return ModelError(sentence)
        why = offline(self.asked) if self.offline else unreachable(self.asked)
        return ModelError(
            f"{why} In the cache, '{hub_cache()}', it is not; it may be copied there from a "
            "machine that has it."
        )

    def get(self, name: str) -> Path | None:
        """A file of a name.

        Returns:
            None where there is none, or where the hub cannot be asked and the cache has none.

        Raises:
            ModelError: the hub refuses.
        """
        from huggingface_hub import errors, hf_hub_download, try_to_load_from_cache

        repo, revision = self.of
        try:
            if self.fixed or not self.answers:
                known = try_to_load_from_cache(repo, name, revision=revision)
                if isinstance(known, str):
                    if not self.fixed:
                        note_once(
                            f"{self.asked.endpoint} is not asked, for it cannot be reached: "
                            f"'{repo}' is as the cache has it."
                        )
                    return Path(known)
                if known is not None or not self.answers:  # known not to exist
                    return None
            with hub_progress():
                return Path(hf_hub_download(repo, name, revision=revision))
        except errors.RemoteEntryNotFoundError:
            return None
        except errors.HFValidationError as error:
            raise WrongUsage(f"--weights {SCHEME}{repo}: {reason_of(error)}.") from None
        except Exception as error:  # of many kinds
            raise ModelError(str(refusal(error, self.asked, hub_cache()))) from None


@contextmanager
def hub_progress() -> Iterator[None]:
    """Let huggingface_hub draw its bars only where imgcli would draw one."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if are_progress_bars_disabled() or (sys.stderr.isatty() and not is_quiet()):
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
