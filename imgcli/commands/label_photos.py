"""`imgcli.label_photos`: photos without labels become class folders, in the browser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.commands.hints import split_command
from imgcli.commands.local_page import page_server, show_page
from imgcli.commands.next_photos import RAW, LabelPool
from imgcli.commands.results import Result
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from imgcli.evaluation.labelling import Audit
    from imgcli.review.queue import Progress


@dataclass(frozen=True, repr=False)
class LabelResult(Result):
    """What was labelled until the page was closed."""

    address: str
    out: Path
    labelled: int  # photos that got a label now
    classes: Mapping[str, int]  # labels in all
    left: int  # photos without a label, near-duplicates counted once
    accuracy: float | None  # of a classifier of these labels, by those drawn at random
    ci95: tuple[float, float] | None
    with_twice: float | None  # the accuracy to expect of twice as many labels
    summary: str
    next: str  # command


def label_photos(
    folder: str | Path,
    *,
    classes: str | Sequence[str] = (),
    out: str | Path = RAW,
    arch: str | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    port: int = 0,
    browser: bool = True,
) -> LabelResult:
    """Show the photos to label next in the browser, and put each into its class folder at once.

    Ends with Ctrl-C; the same call goes on. Photos stay where they are: what the class folders get
    is a hard link, or a copy.

    Args:
        folder: photos without labels.
        classes: names, as a list or separated by commas; beside those that `out` has. More can be
            named on the page.
        out: class folders, which may have photos already.
        arch: a network of timm or torchvision, frozen; by default those that are installed.
        weights: of the network, where they are not the published ones.
        port: of this machine; 0 takes any free one.
        browser: open the page in the browser, beside printing its address.

    Raises:
        Refused: the page's server is not installed.
        WrongUsage: `out` is inside `folder`, or two classes would share a folder.
        DataError: no such folder, or no photo in it without a label.
        StorageError: `out` cannot be written, or the port is taken.
    """
    from imgcli.collect.names import safe_name
    from imgcli.photos.open_batch import OpenBatch
    from imgcli.photos.sorting import refuse_place
    from imgcli.review.label import Labelling, labelling_queue
    from imgcli.review.pictures import Pictures, Source

    page_server()
    root, target = Path(folder), Path(out)
    refuse_place(target, [root], "--out")
    pool = LabelPool(root, target, class_names(classes), arch, weights, device)
    target.mkdir(parents=True, exist_ok=True)
    batch = OpenBatch(target)
    photos = zip(pool.files, pool.digests, strict=True)
    sources = {f"p{row}": Source(file, sha) for row, (file, sha) in enumerate(photos)}
    status = _Status(pool)
    queue = labelling_queue(Labelling(pool, batch, safe_name), Pictures(sources), status.progress)
    address = show_page(f"imgcli label · {root}", {queue.name: queue}, [batch], port, browser)
    found = pool.audit()
    return LabelResult(
        address=address,
        out=target,
        labelled=len(batch.moves),
        classes=pool.counts(),
        left=pool.left,
        accuracy=found.accuracy,
        ci95=found.ci95,
        with_twice=found.with_twice,
        summary=found.sentence,
        next=split_command(target),
    )


def class_names(given: str | Sequence[str]) -> list[str]:
    """Names of classes, as a list or separated by commas.

    Raises:
        WrongUsage: two of them would be one folder.
    """
    from imgcli.collect.names import safe_name

    words = [given] if isinstance(given, str) else list(given)
    names = [name.strip() for word in words for name in word.split(",")]
    names = list(dict.fromkeys(name for name in names if name))
    folders: dict[str, str] = {}
    for name in names:
        other = folders.setdefault(safe_name(name).casefold(), name)
        if other != name:
            raise WrongUsage(f"The classes '{other}' and '{name}' would be one folder. Rename one.")
    return names


class _Status:
    """How far one has come; the accuracy is worked out anew with every batch of labels."""

    EVERY = 10  # labels

    def __init__(self, pool: LabelPool) -> None:
        self._pool = pool
        self._audit: Audit | None = None

    def progress(self) -> "Progress":
        """Labels, photos without one, and the accuracy in a sentence."""
        from imgcli.review.queue import Progress

        labels = int((self._pool.labels >= 0).sum())
        if self._audit is None or abs(labels - self._audit.labels) >= self.EVERY:
            self._audit = self._pool.audit()
        told = self._audit.sentence.partition(" ")[2].partition(" ")[2]
        left = self._pool.left
        return Progress(labels, left, f"{labels:,} labelled, {left:,} left. {told}")
