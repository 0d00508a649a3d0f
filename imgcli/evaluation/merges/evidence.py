"""The evidence on two classes: how often, how significantly and which way they are confused."""

from dataclasses import dataclass
from typing import Any, Literal

from imgcli.errors import DataError
from imgcli.evaluation.merges.null_model import NullModel, null_model
from imgcli.evaluation.merges.separability import (
    AMONG,
    ExpectedAuc,
    Separability,
    separability,
)
from imgcli.evaluation.metrics import Z95, confusion_of
from imgcli.records import IntArray, Predictions
from imgcli.text import count, listed, percent, times

Kind = Literal["same", "overlap", "part-of"]

ALPHA = 0.05  # largest p-value, corrected, that counts as more than chance
RANDOM_AUC = 0.52  # an interval that reaches down to here leaves the two labels arbitrary,
MAX_SAME_AUC = 0.70  # unless the AUC itself is above this: then there are too few photos to say so
MIN_PART = 2 / 3  # share of a part that must be among its whole
STANDS_OUT = 4.0  # times the expected loss, 1 - AUC, that a pair must have at least,
POOR = 0.35  # or this: a model that tells few classes apart leaves no room for four times as much
MIN_SHARED = 0.1  # share of the smaller class's photos that, in both classes, make the two one,
MIN_SHARED_GROUPS = 3  # if they are so many
MIN_UNEVEN = 0.2  # how much larger that share must be than the whole's among its part


@dataclass(frozen=True)
class PairEvidence:
    """The evidence on two classes; pairs of figures are in their order."""

    classes: tuple[str, str]
    n: tuple[int, int]  # photos
    confused: tuple[int, int]  # photos of the first predicted as the second; the other way round
    lift: float  # times as many confusions as independent errors would make
    chance_gain: float  # accuracy that merging two such classes would gain by chance
    p_value: float  # of so many confusions by chance, corrected for the number of pairs
    apart: Separability
    expected_auc: float  # by how well the two are separated from other classes
    groups: tuple[int, int]  # near-duplicate groups: photos that differ
    shared_groups: int  # of them, those with photos in both classes
    confused_groups: tuple[int, int] | None = None  # as `confused`; None: no photo has a duplicate

    @property
    def rates(self) -> tuple[float, float]:
        """Share of each class's photos predicted as the other, near-duplicates counted once."""
        if self.confused_groups is None:
            return self.confused[0] / self.n[0], self.confused[1] / self.n[1]
        ab, ba = self.confused_groups
        return ab / self.groups[0], ba / self.groups[1]

    @property
    def rate(self) -> float:
        """Mean of the two shares, so that a class counts alike whatever its size."""
        return sum(self.rates) / 2

    @property
    def score(self) -> float:
        """2 (1 - AUC), from 0, perfectly separated, to 1, not at all."""
        return min(1.0, 2 * (1 - self.apart.auc))

    @property
    def stands_out(self) -> bool:
        """Whether the two are separated far worse than expected of such classes."""
        expected = 1 - self.expected_auc
        return 1 - self.apart.auc_ci95[1] > min(STANDS_OUT * expected, max(POOR, expected))

    @property
    def much_shared(self) -> bool:
        """Whether the photos in both classes are reason enough."""
        return self.shared_groups >= max(MIN_SHARED_GROUPS, MIN_SHARED * min(self.groups))

    @property
    def part(self) -> str | None:
        """The class that is a part of the other, where there is one."""
        among_a, among_b = self.apart.among
        uneven = among_b - among_a
        if (
            abs(uneven) < max(MIN_UNEVEN, Z95 * self.apart.among_error)
            or max(among_a, among_b) < MIN_PART
        ):
            return None
        return self.classes[1] if uneven > 0 else self.classes[0]

    @property
    def kind(self) -> Kind:
        """`same`: not separable; `part-of`: one is a part of the other; else `overlap`."""
        if self.apart.auc_ci95[0] <= RANDOM_AUC and self.apart.auc <= MAX_SAME_AUC:
            return "same"
        return "overlap" if self.part is None else "part-of"

    def reason(self) -> str:
        """One plain sentence for people."""
        (a, b), (n_a, n_b), (ab, ba) = self.classes, self.n, self.confused
        doubt = "" if self.p_value <= ALPHA else ", too few to be sure of"
        return (
            f"{ab} of {n_a} {a} photos are predicted as {b} and {ba} of {n_b} the other way round, "
            f"{times(self.lift)} the number expected by chance{doubt}; given one photo of each "
            f"class, the model tells which is {a} {percent(self.apart.auc, digits=0)} of the time "
            f"(AUC; 50 % = random guess){self._part_sentence()}{self._shared_sentence()}."
        )

    def _part_sentence(self) -> str:
        if self.kind != "part-of":
            return ""
        part, whole = self.classes if self.part == self.classes[0] else self.classes[::-1]
        most, least = (percent(p, digits=0) for p in sorted(self.apart.among, reverse=True))
        return (
            f"; for {most} of {part} photos, at least {percent(AMONG, digits=0)} of {whole} photos "
            f"get a higher {part} score, the other way round for {least}"
        )

    def _shared_sentence(self) -> str:
        if self.shared_groups == 0:
            return ""
        return f"; {count(self.shared_groups, 'photo')} (near-duplicates included) in both classes"

    def to_json(self) -> dict[str, Any]:
        """The evidence as plain numbers."""
        return {
            "n": list(self.n),
            "groups": list(self.groups),
            "confused": list(self.confused),
            "rates": list(self.rates),
            "lift": self.lift,
            "p_value": self.p_value,
            "auc": self.apart.auc,
            "auc_ci95": list(self.apart.auc_ci95),
            "auc_usual": self.expected_auc,
            "among": list(self.apart.among),
            "part": self.part if self.kind == "part-of" else None,
            "shared_groups": self.shared_groups,
            "chance_gain": self.chance_gain,
        }


def pair_evidence(predictions: Predictions, a: str, b: str) -> PairEvidence:
    """The evidence on any two classes by name, suggested or not.

    Raises:
        DataError: a class that the predictions do not know, or have no photo of.
    """
    for name in (a, b):
        if name not in predictions.classes:
            raise DataError(
                f"No class '{name}' in the predictions; they know {listed(predictions.classes)}. "
                f"Name two of those."
            )
    first, second = predictions.classes.index(a), predictions.classes.index(b)
    confusion = confusion_of(predictions)
    for name, i in ((a, first), (b, second)):
        if not confusion[i].any():
            raise DataError(
                f"No photo of class '{name}' is among the predictions of part "
                f"'{predictions.on}'. Evaluate with --folds to have one for every photo."
            )
    null, expected = null_model(predictions), ExpectedAuc(predictions)
    return evidence_of(predictions, confusion, null, expected, first, second)


def evidence_of(
    predictions: Predictions,
    confusion: IntArray,
    null: NullModel,
    expected_auc: ExpectedAuc,
    a: int,
    b: int,
) -> PairEvidence:
    """The evidence on classes number a and b, from what was computed once for all pairs."""
    expected = float(null.expected[a, b] + null.expected[b, a])
    found = int(null.counted[a, b] + null.counted[b, a])
    groups = [set(predictions.groups[predictions.targets == i].tolist()) for i in (a, b)]
    return PairEvidence(
        classes=(predictions.classes[a], predictions.classes[b]),
        n=(int(confusion[a].sum()), int(confusion[b].sum())),
        confused=(int(confusion[a, b]), int(confusion[b, a])),
        lift=found / expected if expected > 0 else 0.0,
        chance_gain=expected / int(null.counted.sum()),
        p_value=float(null.p_values[a, b]),
        apart=separability(predictions, a, b),
        expected_auc=1.0 - expected_auc.expected_loss(a, b),
        groups=(len(groups[0]), len(groups[1])),
        shared_groups=len(groups[0] & groups[1]),
        confused_groups=(int(null.counted[a, b]), int(null.counted[b, a])),
    )
