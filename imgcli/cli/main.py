"""The program: its commands, and the one place where errors become sentences."""

import errno
import sys
import traceback
from pathlib import Path

import typer

from imgcli.errors import ImgcliError, Interrupted

app = typer.Typer(
    name="imgcli",
    help="From folders of labelled photos to a classifier one can trust.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

CRASH_LOG = Path(".imgcli/crash.log")


def main() -> None:
    """Run the command line and exit with 0, 1, 2 or 130."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # file names need not be text
    try:
        app()
    except ImgcliError as error:
        _end(str(error), error.exit_code)
    except KeyboardInterrupt:
        _end("Interrupted. Run the same command again to go on.", Interrupted.exit_code)
    except OSError as error:
        _end(_os_sentence(error), 1)
    except Exception as error:
        _end(_bug_sentence(error), 1)


def _end(message: str, code: int) -> None:
    print(f"imgcli: {message}", file=sys.stderr)
    sys.exit(code)


def _os_sentence(error: OSError) -> str:
    """What the system refused, with the path and the remedy."""
    where = f"'{error.filename}'" if error.filename is not None else "the disk"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"No space left while writing {where}. Free some and run the command again."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return (
                f"No permission to use {where} ({error.strerror}). "
                "Change its permissions, or name another place."
            )
        case _:
            return f"{where}: {error.strerror or error}. Mend that and run the command again."


def _bug_sentence(error: Exception) -> str:
    """Our own mistake: keep the traceback in a file, say so in a sentence."""
    kind = f"{type(error).__name__}: {error}"
    try:
        CRASH_LOG.parent.mkdir(parents=True, exist_ok=True)
        CRASH_LOG.write_text(traceback.format_exc())
    except OSError:
        return f"This is a mistake in imgcli ({kind}). Please report it."
    return f"This is a mistake in imgcli ({kind}). Please report it with '{CRASH_LOG}'."
