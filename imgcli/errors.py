"""What can go wrong, as sentences.

    ImgcliError                 exit code
    ├── WrongUsage                  2      an option or argument that cannot be meant
    ├── Refused                     1      imgcli will not, or cannot, do it
    │   ├── DataError                      photos, class folders, archives, a dataset
    │   ├── ModelError                     an arch, its options, its weights
    │   ├── RunError                       a run folder: missing, damaged, unfinished
    │   └── StorageError                   an output that exists, a full disk, no permission
    └── Interrupted               130      Ctrl-C; what is done is kept

Each message says what is wrong, with the value and the path, and what to do about it.
Anything else that reaches `main()` is our own mistake.
"""


class ImgcliError(Exception):
    """Base of every error a user is meant to read; `str(error)` is the whole message."""

    exit_code = 1


class WrongUsage(ImgcliError):
    """An option or argument whose value cannot be meant, such as `--ratio 1.5`."""

    exit_code = 2


class Refused(ImgcliError):
    """The command was understood but cannot be carried out."""


class DataError(Refused):
    """The photos, class folders, archive or dataset cannot serve."""


class ModelError(Refused):
    """An arch that does not exist, or weights that cannot be had or do not fit."""


class RunError(Refused):
    """A run folder that is missing, damaged, unfinished or from another version."""


class StorageError(Refused):
    """The disk: an output that exists, no space, no permission."""


class Interrupted(ImgcliError):
    """The user pressed Ctrl-C; the message says what was kept and how to go on."""

    exit_code = 130
