"""`imgcli.scrape`: openly licensed photos from the network."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.commands.folders import optional_path
from imgcli.commands.results import Result
from imgcli.errors import DataError, WrongUsage

if TYPE_CHECKING:
    from imgcli.collect.scrape.accept import Check
    from imgcli.records import Rejected

MIN_SIZE = 16  # pixels of the longer side


@dataclass(frozen=True, repr=False)
class ScrapeResult(Result):
    """Class folders with the photos received, in this run and earlier ones."""

    out: Path
    added: int
    skipped: int  # photos received earlier, and exact duplicates
    duplicates: "tuple[Rejected, ...]"  # by URL: the same file, or the same URL, as another's
    rejected: "tuple[Rejected, ...]"  # by URL; not tried again
    deferred: "tuple[Rejected, ...]"  # by URL; tried again by the next run
    classes: Mapping[str, int]  # photos per class in the whole of `out`
    short: Mapping[str, int]  # photos missing per class, of those requested
    interrupted: int  # requests cut off in an earlier run and repeated in this one

    @property
    def error(self) -> DataError | None:
        """The error that the command line ends with if there is no photo at all."""
        from imgcli.collect.scrape.search_result import NO_LICENCE

        if self.added + self.skipped:
            return None
        refused = [*self.rejected, *self.deferred]
        if not refused:
            return DataError("The source has no such photos. Try other words.")
        n = f"{len(refused):,}"
        if not self.deferred and all(photo.reason == NO_LICENCE for photo in refused):
            return DataError(
                f"No photo was taken: of {n} none has a licence. If you may use them all the "
                "same, add --allow-unlicensed."
            )
        example = f"{refused[0].path}: {refused[0].reason}".removesuffix(".")
        return DataError(f"No photo was taken. Rejected or deferred: {n}, such as {example}.")


def scrape(
    source: str,
    queries: Sequence[str] = (),
    *,
    per_class: int | None = None,
    out: str | Path = "raw",
    labels: str | Path | None = None,
    license: str | None = None,
    allow_unlicensed: bool = False,
    max_size: int | None = None,
    contact: str | None = None,
    allow_host: Sequence[str] = (),
    endpoint: str | None = None,
) -> ScrapeResult:
    """Download openly licensed photos into `out`/<class>/; a stopped run is resumed.

    Args:
        source: openverse, wikimedia, flickr, inaturalist, gallery or urls.
        queries: classes, each "label" or "label=query"; for urls the files of tables.
        per_class: photos per class; 100 by default, for urls all.
        labels: a file with one such query per line.
        license: licences to accept, such as "by,cc0"; any by default.
        allow_unlicensed: accept photos without a known licence.
        max_size: pixels of the longer side; larger photos are reduced.
        contact: a mail address or page for the hosts; IMGCLI_CONTACT by default.
        allow_host: "host:port" of hosts outside the public internet.
        endpoint: URL of another server with the API of the source.

    Raises:
        WrongUsage: no such source, no query, or choices out of range.
        DataError: a file or a host's answer that cannot be used, or a missing API key.
    """
    from imgcli.collect.scrape import engine
    from imgcli.collect.scrape.host_state import open_host_state
    from imgcli.collect.scrape.job import make_job
    from imgcli.collect.scrape.licences import licence_codes
    from imgcli.collect.scrape.search_result import Terms
    from imgcli.http.client import Client

    if max_size is not None and max_size < MIN_SIZE:
        raise WrongUsage(f"--max-size {max_size} must be at least {MIN_SIZE} pixels.")
    terms = Terms(licence_codes(license) if license is not None else None, allow_unlicensed)
    with open_host_state() as memory, Client(contact, allow_host, state=memory) as client:
        order = make_job(
            *(source, queries, optional_path(labels), per_class),
            client=client,
            terms=terms,
            endpoint=endpoint,
            environ=os.environ,
        )
        decoder = _decoder(max_size)
        done = engine.scrape(order, Path(out), client=client, check=decoder, terms=terms)
    return ScrapeResult(out=Path(out), **vars(done))


def _decoder(max_size: int | None) -> "Check":
    """Decodes received photos whole, one per core at a time, and reduces large ones."""
    import io
    from threading import Semaphore

    from imgcli.collect.imports.labelled_photo import NotTaken
    from imgcli.collect.scrape.accept import Checked
    from imgcli.photos.decode import Fault, decode

    cores = Semaphore(os.cpu_count() or 1)

    def check(data: bytes) -> Checked:
        with cores:
            photo = decode(data)
            if isinstance(photo, Fault):
                raise NotTaken(photo.sentence)
            size = photo.size
            if max_size is None or max(size) <= max_size:
                return Checked(data, *size)
            photo.thumbnail((max_size, max_size))
            smaller = io.BytesIO()
            photo.save(smaller, "JPEG", quality=92)
            return Checked(smaller.getvalue(), *photo.size, made_from=size)

    return check
