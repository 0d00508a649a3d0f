"""A batch of the quarantine that grows by one photo at a time, as decisions are made.

The journal is written before each photo moves, as `quarantine` does for many at once: whenever the
process is killed, `imgcli restore` brings every photo back, and nothing but the last move is in
doubt. A move can be undone before others, in any order.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path

from imgcli import provenance
from imgcli.errors import DataError, StorageError
from imgcli.files import locked, sync_folder, write_atomic, writing
from imgcli.photos.manifest import hard_link
from imgcli.photos.quarantine import (
    SORTED,
    Move,
    begin_batch,
    refuse_split,
    remove_emptied,
    rename_all,
    take_out,
    write_journal,
)
from imgcli.photos.sorting import free_place
from imgcli.reading import MAX_PHOTO, digest_of, read_regular

WAIT = 5.0  # seconds for another imgcli that moves photos there


class OpenBatch:
    """The moves of one session in one folder; threads may share it.

    Raises:
        DataError: `root` was made by `imgcli split`, whose manifest vouches for every photo.
    """

    def __init__(self, root: Path) -> None:
        refuse_split(root)
        self.home = root.resolve()
        self.moves: list[Move] = []
        self._batch: Path | None = None
        self._folders: list[str] = []  # that were made for photos placed there
        self._turn = threading.RLock()

    def move(self, move: Move) -> None:
        """Move one photo; durable when it returns.

        Raises:
            DataError: the photo is gone or has changed.
            StorageError: it cannot be moved; it then is where it was.
        """
        with self._turn, locked(self.home.with_name(f".{self.home.name}.lock"), WAIT):
            self._check(move)
            self._write([*self.moves, move])
            batch = self._batch
            assert batch is not None
            if move.to and move.sha256:
                provenance.append_moves(self.home, {move.path: (move.to, move.sha256)})
            new = self.home / move.to if move.to else batch / move.path
            _, left = rename_all([(move.path, self.home / move.path, new)], (self.home, batch))
            if left:
                self._take_back_lines(move)
                self._write(self.moves)
                raise StorageError(f"'{move.path}' was not moved: {left[0].reason}.")
            self.moves.append(move)

    def place(self, file: Path, folder: str, reason: str) -> Move | None:
        """Put a photo that stays where it is into a class folder too; durable when it returns.

        A hard link where one can be made, else a copy.

        Returns:
            What undoes it; None if the folder has the same bytes already.

        Raises:
            DataError: the photo is gone.
            StorageError: it cannot be placed.
        """
        with self._turn, locked(self.home.with_name(f".{self.home.name}.lock"), WAIT):
            try:
                sha256 = digest_of(file)
            except OSError as error:
                raise DataError(f"'{file}' cannot be read ({error.strerror or error}).") from None
            path = free_place(self.home, folder, file.name, sha256, frozenset())
            if os.path.lexists(self.home / path):
                return None
            source = os.path.abspath(file)
            move = Move(path, SORTED, reason, sha256=sha256, source=source)
            if not (self.home / folder).is_dir() and folder not in self._folders:
                self._folders.append(folder)
            self._write([*self.moves, move])
            with writing(self.home / path):
                (self.home / folder).mkdir(parents=True, exist_ok=True)
                if not hard_link(source, str(self.home / path)):
                    write_atomic(self.home / path, read_regular(file, MAX_PHOTO))
            sync_folder(self.home / folder)
            self.moves.append(move)
            return move

    def undo(self, move: Move) -> None:
        """Move a photo back to where it was; take one out that was placed.

        Raises:
            StorageError: something else has that place, or the photo is gone from its new one.
        """
        with self._turn, locked(self.home.with_name(f".{self.home.name}.lock"), WAIT):
            batch = self._batch
            assert batch is not None and move in self.moves
            if move.source is not None:
                _, kept = take_out([move], self.home)
                if kept:
                    raise StorageError(f"'{move.path}' was not taken out: {kept[0].reason}.")
                self.moves.remove(move)
                self._write(self.moves)
                return
            now = self.home / move.to if move.to else batch / move.path
            _, left = rename_all([(move.path, now, self.home / move.path)], (self.home, batch))
            if left:
                raise StorageError(f"'{move.path}' was not moved back: {left[0].reason}.")
            self._take_back_lines(move)
            self.moves.remove(move)
            self._write(self.moves)

    def close(self) -> None:
        """Leave nothing behind of a batch whose moves were all undone."""
        with self._turn:
            if self._batch is not None and not self.moves:
                for folder in self._folders:
                    with suppress(OSError):  # others' photos are in it
                        (self.home / folder).rmdir()
                remove_emptied(self._batch)
                self._batch = None

    def _check(self, move: Move) -> None:
        try:
            digest = digest_of(self.home / move.path)
        except OSError:
            raise DataError(
                f"'{self.home / move.path}' is not there any more. Leave it out, and start again "
                "to see what is there now."
            ) from None
        if move.sha256 is not None and digest != move.sha256:
            raise DataError(
                f"'{self.home / move.path}' has changed since it was looked at. Start again to see "
                "what is there now."
            )

    def _write(self, moves: list[Move]) -> None:
        if self._batch is None:
            self._batch = begin_batch(self.home, moves, self._folders)
        else:
            write_journal(self._batch, self.home.name, moves, self._folders)

    def _take_back_lines(self, move: Move) -> None:
        if move.to:
            provenance.remove_moves(self.home, {move.path: move.to})
