"""The program: its commands, and the one place where errors become sentences."""

import errno
import os
import signal
import sys
import traceback
from contextlib import suppress
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from imgcli.cli.command_group import CommandGroup
from imgcli.compute.launch import processes, shares
from imgcli.errors import ImgcliError, Interrupted
from imgcli.text import printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

app = typer.Typer(
    name="imgcli",
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def imgcli() -> None:
    """From folders of labelled photos to a classifier one can trust."""


CRASH_LOG = Path(".imgcli/crash.log")


def main() -> None:
    """Run the command line and exit with 0, 1, 2 or 130."""
    if processes() == 1:
        _main()
        return
    from imgcli.compute.leading import together

    with together(shares(sys.argv[1:])):
        _main()


def _main() -> None:
    _end_softly()
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # file names need not be text
    try:
        _run_and_flush()
    except ImgcliError as error:
        _end(str(error), error.exit_code)
    except KeyboardInterrupt:  # before the command began
        _end("Interrupted.", Interrupted.exit_code)
    except OSError as error:
        if error.errno == errno.EPIPE and error.filename == Stdout.name_for_people:
            sys.exit(1)  # whoever reads it, such as `head`, has enough
        _end(_os_sentence(error), 1)
    except Exception as error:
        _end(_bug_sentence(error), 1)


def _end_softly() -> None:
    """Take a request to end, or a closed terminal, for Ctrl-C: what is done is kept."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores one
            signal.signal(number, signal.default_int_handler)


class Stdout(FileIO):
    """Standard output, whose failure is told once and by its name."""

    name_for_people = "standard output"
    _failed = False

    def write(self, data: "ReadableBuffer", /) -> int:
        if self._failed:  # Python writes what is left once more, at its exit
            return memoryview(data).nbytes
        try:
            return super().write(data) or 0
        except OSError as error:
            self._failed = True
            error.filename = self.name_for_people
            raise


def _open_closed_streams() -> None:
    """Open the standard streams that a shell has closed, as `>&-` does.

    The next file that is opened would take their numbers, and get what is meant for them. What
    reaches a closed stdout fails here too; messages to a closed stderr are lost.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)
    if sys.stdout is sys.__stdout__:
        raw = Stdout(1, "w", closefd=False)
        encoding = sys.stdout.encoding if sys.stdout else "utf-8"
        sys.stdout = TextIOWrapper(BufferedWriter(raw), encoding, line_buffering=raw.isatty())
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)


def _run_and_flush() -> None:
    """Run the command; a result that cannot be written is an error and no warning at exit."""
    try:
        app()
    except SystemExit as end:  # of typer, which ends every command so
        if not end.code:
            sys.stdout.flush()
        raise


def _end(message: str, code: int) -> NoReturn:
    with suppress(OSError):
        print(f"imgcli: {printable(message)}", file=sys.stderr)
    sys.exit(code)


def _of_user(name: str | bytes | int) -> str:
    """The file or folder that a lock or a temporary file is for, or the name itself."""
    path = Path(os.fsdecode(name)) if isinstance(name, str | bytes) else Path(str(name))
    if path.name.startswith(".imgcli-") and path.name.endswith(".tmp"):
        return str(path.parent)
    if path.name.startswith(".") and path.name.endswith(".lock") and path.name != ".lock":
        return str(path.with_name(path.name[1:].removesuffix(".lock")))
    return str(name) if isinstance(name, int) else os.fsdecode(name)


def _os_sentence(error: OSError) -> str:
    """What the system refused, with the path and the remedy."""
    names = [_of_user(n) for n in (error.filename, error.filename2) if n is not None]
    where = " -> ".join(f"'{name}'" for name in names) or "on the disk"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            target = f"'{names[-1]}'" if names else where  # of two, what was to be made
            return f"No space left to write {target}. Free some and run the command again."
        case errno.EFBIG:
            return (
                f"No space left to write {where}: it would be larger than a file may be here. "
                "Raise the limit (ulimit -f), or name a place on another file system."
            )
        case errno.EROFS:
            return (
                f"No permission to use {where} ({error.strerror}). Name a place that can be "
                "written, as with --out, or copy what is read and changed there to one."
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"No permission to use {where} ({error.strerror}). "
                "Change its permissions, or name another place."
            )
        case _:
            return f"{where}: {error.strerror or error}. Fix that and run the command again."


def _bug_sentence(error: Exception) -> str:
    """Our own mistake: keep the traceback in a file, say so in a sentence."""
    from imgcli.files import write_atomic

    kind = f"{type(error).__name__}: {error}"
    try:
        CRASH_LOG.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(CRASH_LOG, traceback.format_exc())
    except OSError:
        return f"This is a mistake in imgcli ({kind}). Please report it."
    return f"This is a mistake in imgcli ({kind}). Please report it with '{CRASH_LOG}'."
