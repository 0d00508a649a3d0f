"""The program as a whole: its help, its completions, and errors as sentences."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from typer._completion_shared import get_completion_script

from imgcli import progress
from imgcli.cli import main as program
from imgcli.cli.command_group import COMMANDS, load_command
from imgcli.errors import DataError, ImgcliError, Interrupted, WrongUsage
from tests.support.shell import Shell, completions, imgcli, modules_of

HOUSE = Path(__file__).resolve().parents[2]


def test_the_commands_are_the_ones_in_the_readme() -> None:
    readme = (HOUSE / "README.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"imgcli {name}" not in readme] == []
    outside = [line for line in readme.splitlines() if line.startswith("imgcli ")]
    assert outside == []  # of a block of code, where a line would run into the next


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_the_first_line_of_each_help(name: str) -> None:
    assert COMMANDS[name] == load_command(name).help.split("\n\n")[0]


def test_the_list_of_commands_imports_none_of_them(shell: Shell) -> None:
    shown = shell("--help").out
    assert [name for name in COMMANDS if f"  {name} " not in shown] == []
    assert {name for name in modules_of("--help") if name.startswith("imgcli.")} == {
        *("imgcli.cli", "imgcli.cli.command_group", "imgcli.cli.main"),
        *("imgcli.compute", "imgcli.compute.launch", "imgcli.errors", "imgcli.text"),
    }


def test_a_name_that_no_command_has_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert imgcli("sugest-merges") == 2
    error = capsys.readouterr().err
    assert "No such command 'sugest-merges'. Did you mean 'suggest-merges'?" in error


@pytest.mark.parametrize("words", [["--quiet"], ["-q"], []])
def test_quiet_holds_for_one_command(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(name: str) -> None:
        progress.note("a note")
        raise DataError("No run.")

    monkeypatch.setattr("imgcli.run_lookup.find_run", fails)
    assert imgcli("report", *words) == 1
    progress.note("of the next command")
    notes = [] if words else ["a note"]
    assert capsys.readouterr().err.splitlines() == [
        *notes,
        "imgcli: No run.",
        "of the next command",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_two_examples_to_copy(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert imgcli(command, "--help") == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert sum(line.startswith(f"imgcli {command}") for line in lines) >= 2


@pytest.mark.parametrize(
    ("shell", "file"), [("bash", "imgcli.bash"), ("zsh", "_imgcli"), ("fish", "imgcli.fish")]
)
def test_the_completions_are_those_of_the_program(shell: str, file: str) -> None:
    script = get_completion_script(prog_name="imgcli", complete_var="_IMGCLI_COMPLETE", shell=shell)
    assert (HOUSE / "completions" / file).read_text("utf-8") == script + "\n", (
        "write it anew: _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION=1 "
        f"imgcli --show-completion {shell} > completions/{file}"
    )


def test_completion_answers_with_commands_and_options() -> None:
    assert completions("imgcli su") == ["suggest-merges"]
    assert "--freeze" in completions("imgcli train --fr")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("No folder 'x'."), 1),
        (WrongUsage("--ratio 2 is no share."), 2),
        (Interrupted("Interrupted."), 130),
    ],
)
def test_every_branch_of_errors_is_a_sentence_with_its_code(
    error: ImgcliError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _fails_with(error, monkeypatch) == code
    captured = capsys.readouterr()
    assert captured.err == f"imgcli: {error}\n" and captured.out == ""


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "No space left to write 'somewhere'"),
        (errno.EACCES, "No permission to use 'somewhere'"),
        (errno.EROFS, "No permission to use 'somewhere' (Read-only file system)"),
        (errno.EROFS, "Name a place that can be written, as with --out"),
        (errno.EIO, "'somewhere': Input/output error"),
    ],
)
@pytest.mark.parametrize(
    "name", ["somewhere", ".somewhere.lock", "somewhere/.imgcli-04115b94-1-2-0.tmp"]
)
def test_what_the_system_refuses_is_a_sentence(
    number: int,
    said: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import os

    assert _fails_with(OSError(number, os.strerror(number), name), monkeypatch) == 1
    assert said in capsys.readouterr().err


def test_our_own_mistake_is_kept_in_a_file_and_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _fails_with(ZeroDivisionError("division by zero"), monkeypatch) == 1
    said = capsys.readouterr().err
    assert "mistake in imgcli (ZeroDivisionError: division by zero)" in said
    assert "Traceback" not in said
    assert "Traceback" in (tmp_path / ".imgcli/crash.log").read_text()


def test_control_characters_in_a_name_do_not_reach_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _fails_with(DataError("No folder 'a\x1b[2Jb'."), monkeypatch)
    assert "\x1b" not in capsys.readouterr().err


def test_ctrl_c_is_130_and_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("imgcli.photos.split.split_folder", interrupted)
    assert imgcli("split") == 130
    assert "Interrupted. What is finished is kept" in capsys.readouterr().err


def _fails_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    def broken() -> None:
        raise error

    monkeypatch.setattr(program, "app", broken)
    return imgcli()


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">&-", 1, "'standard output': Bad file descriptor"),
        (">/dev/full", 1, "No space left to write 'standard output'"),
        ("| true", 1, ""),
        ("2>&-", 0, ""),
        ("<&-", 0, ""),
        (">&- 2>&-", 1, ""),
    ],
)
def test_streams_that_are_closed_or_full_end_as_of_any_tool(
    tmp_path: Path, redirection: str, code: int, said: str
) -> None:
    line = (
        f"({sys.executable} -m imgcli archs resnet18 --json {redirection}; exit ${{PIPESTATUS[0]}})"
    )
    ended = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == code
    assert said in ended.stderr and ended.stderr.count("\n") == bool(said)
    assert not list(tmp_path.iterdir())
