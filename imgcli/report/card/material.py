"""The material of a card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from imgcli.records import Preprocess
from imgcli.report.page.context import Evaluated, Report


@dataclass(frozen=True)
class Licences:
    """Where the photos come from, as far as it is recorded."""

    photos: Mapping[str, int] = field(default_factory=dict)  # of each licence, the commonest first
    unrecorded: int = 0  # photos whose authors and licences are not
    page: str | None = None  # the file beside the card with title and author of each


@dataclass(frozen=True, eq=False)
class Card:
    """The material of a card."""

    format: str  # "timm", "onnx"
    report: Report  # of the first run
    runs: Sequence[str]  # names; of several, probabilities are averaged
    preprocess: Preprocess
    temperature: float
    starts_from: str  # the weights before training, for people
    base_model: Sequence[str]  # the same as repositories of the hub, as far as they are
    command: str  # that trained it
    licences: Licences
    repo: str | None = None  # owner/name on the hub, where it is known
    file: str | None = None  # the exported file, where the folder holds one
    compared: str | None = None  # how it compares with imgcli

    @property
    def classes(self) -> list[str]:
        return [str(name) for name in self.report.model["classes"]]

    @property
    def trained_on(self) -> int:
        """Training photos; 0 where their number is not recorded."""
        return int((self.report.model.get("train") or {}).get("n", 0))

    @property
    def evaluated(self) -> Evaluated | None:
        """The evaluation of the exported network; None for the mean of several runs."""
        return self.report.evaluated if len(self.runs) == 1 else None

    @property
    def not_evaluated(self) -> str:
        """The sentence in place of figures."""
        if len(self.runs) > 1:
            return "Not evaluated here: the figures of one network are not those of their mean."
        missing = next(iter(self.report.missing), None)
        command = f" Command: `{missing.command}`." if missing else ""
        return f"Not evaluated: its accuracy on held-out photos is not known.{command}"
