"""Upload a run to the Hugging Face hub."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imgcli.commands.folders import names
from imgcli.commands.results import Result
from imgcli.text import megabytes

if TYPE_CHECKING:
    from imgcli.runs import Run

Format = Literal["timm", "onnx"]


@dataclass(frozen=True)
class PushedFile:
    """A file in the repository."""

    path: str
    bytes: int


@dataclass(frozen=True, eq=False, repr=False)
class PushResult(Result):
    """What was uploaded, or would be."""

    repo: str  # owner/name
    url: str | None  # of its page; None with dry_run
    commit: str | None  # None with dry_run
    private: bool  # as it was asked for
    dry_run: bool
    format: Format
    runs: tuple[Path, ...]
    files: tuple[PushedFile, ...]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files)

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "repository", self.url or f"{self.repo} (not uploaded)"
        if self.commit:
            yield "commit", self.commit
        for file in self.files:
            yield file.path, megabytes(file.bytes)


def push(
    repo: str,
    *,
    run: str | Path | Sequence[str | Path] = "latest",
    private: bool = False,
    format: Format = "timm",
    dry_run: bool = False,
) -> PushResult:
    """Upload a run to a repository of the Hugging Face hub, with a model card, in one commit.

    The token is huggingface_hub's: HF_TOKEN, or that of a login.

    Args:
        repo: "owner/name", or "name" of your own; made if there is none.
        run: "latest", a folder's name under runs/, a path, or for "onnx" several of these.
        private: make the repository private.
        format: what to upload: "timm", weights that timm and imgcli read, or "onnx", one file.
        dry_run: export and list the files, and upload nothing.

    Raises:
        ImgcliError: what the command line would say.
    """
    from imgcli.export.upload import check_access, check_name, upload
    from imgcli.run_lookup import find_runs

    check_name(repo)
    runs = find_runs(names(run))
    if not dry_run:
        check_access(repo)
    with tempfile.TemporaryDirectory(prefix="imgcli-push-") as temporary:
        folder = Path(temporary) / "model"
        _export(runs, format, folder, repo if "/" in repo else None)
        files = tuple(
            PushedFile(path.name, path.stat().st_size) for path in sorted(folder.iterdir())
        )
        done = None
        if not dry_run:
            done = upload(folder, repo, _message(runs), private=private)
    return PushResult(
        repo=done.repo if done else repo,
        url=done.url if done else None,
        commit=done.commit if done else None,
        private=private,
        dry_run=dry_run,
        format=format,
        runs=tuple(one.folder for one in runs),
        files=files,
    )


def _export(runs: "Sequence[Run]", format: Format, folder: Path, repo: str | None) -> None:
    """What `imgcli export` writes, and a card beside a file too."""
    from imgcli.commands.export_run import export_run
    from imgcli.commands.model_card import write_card
    from imgcli.export.folder import DOCUMENT

    done = export_run(format, run=[run.folder for run in runs], out=folder, repo=repo)
    (folder / DOCUMENT).unlink()  # which is for the next export to the same place
    if format == "onnx":
        write_card(runs, folder, format, repo=repo, exported=done)


def _message(runs: "Sequence[Run]") -> str:
    from imgcli import __version__

    return f"{', '.join(run.folder.name for run in runs)}, by imgcli {__version__}"
