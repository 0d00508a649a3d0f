"""A folder becomes one commit of a repository on the Hugging Face hub.

huggingface_hub does it, with the token that it finds by its own rules: HF_TOKEN, or a login. The
token is neither shown nor kept here.
"""

import re
from pathlib import Path
from typing import NamedTuple

from imgcli.errors import ImgcliError, Refused, WrongUsage
from imgcli.models.hub import is_reachable
from imgcli.models.hub_errors import Asked, no_token, offline, refusal, unreachable
from imgcli.models.hub_repository import hub_progress

PATIENCE = 30.0  # seconds without an answer; huggingface_hub has no limit of its own
_NAME = re.compile(r"(?:[\w.-]+/)?[\w.-]+")


class Uploaded(NamedTuple):
    """A commit."""

    repo: str  # owner/name
    url: str  # of the repository's page
    commit: str


def check_name(repo: str) -> None:
    """Refuse what is no repository's name.

    Raises:
        WrongUsage: it is not `owner/name` or `name`.
    """
    from huggingface_hub import errors
    from huggingface_hub.utils import validate_repo_id

    try:
        if _NAME.fullmatch(repo):
            validate_repo_id(repo)
            return
    except errors.HFValidationError:
        pass
    raise WrongUsage(
        f"'{repo}' is no name of a repository. Use OWNER/NAME, such as lab/owls, of letters, "
        "digits, '-', '_' and '.', at most 96."
    )


def check_access(repo: str) -> None:
    """Refuse a hub that cannot be asked, or not written to, before any work.

    Raises:
        Refused: no network, or no token.
    """
    from huggingface_hub import constants, get_token

    asked = Asked(repo, constants.ENDPOINT, writes=True)
    if constants.is_offline_mode():
        raise offline(asked)
    if get_token() is None:
        raise no_token(asked)
    if not is_reachable(asked.endpoint):
        raise unreachable(asked)


def upload(folder: Path, repo: str, message: str, *, private: bool) -> Uploaded:
    """Commit all files of a folder, in a repository that is made if need be.

    Args:
        private: make a private repository; one that exists must be private.

    Raises:
        Refused: the hub refuses, or the repository is public and should not be.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, constants, get_session

    asked = Asked(repo, constants.ENDPOINT, writes=True)
    api = HfApi(endpoint=asked.endpoint)
    get_session().timeout = PATIENCE
    try:
        with hub_progress():
            url = api.create_repo(repo, private=private, exist_ok=True)
            name = url.repo_id
            if private and not api.model_info(name).private:
                raise Refused(
                    f"'{name}' exists at {asked.endpoint} and is public, which --private does not "
                    f"change. Make it private at {url}/settings, or name another repository."
                )
            operations = [
                CommitOperationAdd(path.relative_to(folder).as_posix(), str(path))
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            ]
            done = api.create_commit(name, operations, commit_message=message)
    except ImgcliError:
        raise
    except Exception as error:  # of many kinds
        raise refusal(error, asked, folder) from None
    return Uploaded(name, str(url), str(done.oid))
