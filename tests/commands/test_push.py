"""`imgcli.push`: the command as a function."""

from pathlib import Path

import pytest

import imgcli
from imgcli.errors import WrongUsage
from tests.support.shell import Shell, as_printed
from tests.support.trained_runs import begun

KEYS = {"repo", "url", "commit", "private", "dry_run", "format", "runs", "files"}


def test_it_gives_what_the_command_prints(here: Path, shell: Shell) -> None:
    run = begun(here / "runs", arch="test_resnet", image_size=32)
    done = imgcli.push("lab/owls", run=run.folder, dry_run=True)
    assert done.to_json().keys() == KEYS and done.url is None and done.dry_run
    printed = shell.json("push", "lab/owls", "--run", str(run.folder), "--dry-run")
    ours = as_printed(done.to_json())
    assert [file["path"] for file in printed.pop("files")] == [
        file["path"] for file in ours.pop("files")
    ]
    assert printed == ours
    assert done.bytes == sum(file.bytes for file in done.files) > 100_000
    assert "model.safetensors" in repr(done)


def test_a_name_of_no_repository_is_refused_before_anything(here: Path) -> None:
    with pytest.raises(WrongUsage, match="OWNER/NAME"):
        imgcli.push("not a name")
