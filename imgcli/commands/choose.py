"""Choose a network: frozen pretrained candidates, judged by folds of the training photos."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.commands.results import Result
from imgcli.commands.tracked_results import about_choice, add_choice
from imgcli.commands.training_config import train_command, training_config
from imgcli.config import SEEDS, TrainConfig, check_device
from imgcli.errors import ModelError, WrongUsage
from imgcli.text import count, interval, percent

if TYPE_CHECKING:
    from imgcli.commands.rounds import Rounds
    from imgcli.training.choosing import Candidate

GROUPS = ("bundled", "small")  # what --archs takes beside names
FOLDER = "choose"  # in --out
DOCUMENT = "choose.json"  # in it
_BYTES = 4  # of a parameter, as it is stored


@dataclass(frozen=True, eq=False, repr=False)
class ChooseResult(Result):
    """The candidates, best first, and the one to go on with.

    A candidate is `{"arch", "status", "n", "accuracy", "macro_precision", "difference", ...}`; its
    status is "judged", "dropped" on a share of the photos, "not judged" for want of time, or "left
    out" for want of weights.
    """

    candidates: tuple[Mapping[str, Any], ...]
    best: str  # the arch of the highest accuracy
    cheaper: str | None  # the fewest multiply-adds of those not shown to be less accurate
    n: int  # photos that it is judged on
    photos: int  # of the train part
    config: TrainConfig  # of the best, as it would be asked of `train`
    command: str  # that trains it
    document: Mapping[str, Any]  # of the JSON contract

    def to_json(self) -> dict[str, Any]:
        return dict(self.document)

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "judged on", f"{self.n:,} of {count(self.photos, 'training photo')}"
        for one in self.candidates:
            if accuracy := one["accuracy"]:
                share = f" on {one['n']:,} photos" if one["n"] < self.n else ""
                yield (
                    one["arch"],
                    f"{percent(accuracy['value'])} (95 % interval {interval(accuracy['ci95'])})"
                    + share,
                )
            else:
                yield one["arch"], one["status"]
        yield "best", self.best
        yield "command", self.command


def choose(
    archs: str | Sequence[str] | None = None,
    *,
    minutes: float = 10,
    photos: int | None = None,
    folds: int = 10,
    data: str | Path = "dataset",
    out: str | Path = "runs",
    seed: int = 0,
    device: str = "auto",
    group_by: str | Sequence[str] | None = None,
    group_table: str | Path | None = None,
    track: str | Sequence[str] | None = None,
) -> ChooseResult:
    """Find the pretrained network whose frozen features classify the training photos best.

    Each candidate is judged by K folds as `train(arch, freeze=True)` and `evaluate(folds)` would
    judge it: first on a few hundred photos, then, as far as it is not hopeless by then, on twice
    as many until it has been all. What has been judged is kept; the same call goes on from there.

    The time decides how many candidates are begun, and on how many photos those are compared;
    which is the best of these follows from the photos, the candidates and the seed.

    Args:
        archs: names, "bundled" (those that come with imgcli) or "small" (eight networks of at most
            12 million parameters), as a sequence or separated by commas; by default all whose
            weights are at hand, installed or fetched before.
        minutes: in which work may begin that is expected to end in them; `math.inf` for all.
        photos: of the train part to judge on, at most.
        folds: number of folds.
        out: folder that gets the folder choose/.
        group_by: photos to keep in one fold, as for `evaluate`.
        group_table: the table of "column:NAME".
        track: what is told of it while it lasts, as for `train`; each judgement is a part.

    Raises:
        WrongUsage: too few minutes for one candidate; the message says how many it takes.
        ModelError: an arch without published weights, or none of whose weights can be had.
        ImgcliError: what the command line would say.
    """
    if not minutes > 0 or isnan(minutes):
        raise WrongUsage(f"--minutes {minutes:g} must be above 0; inf is no limit.")
    if folds < 2:
        raise WrongUsage(f"--folds {folds} is too few; use at least 2.")
    if photos is not None and photos < 1:
        raise WrongUsage(f"--photos {photos} must be at least 1.")
    SEEDS.check("--seed", seed)
    check_device(device)
    names, data, out = _names(archs), Path(data), Path(out)

    from imgcli.tracking.session import chosen_trackers, trackers_of

    follow = chosen_trackers(track)

    from imgcli.photos.dataset import refuse_missing

    refuse_missing(data)

    from imgcli.commands.rounds import Rounds
    from imgcli.models.at_hand import archs_at_hand
    from imgcli.photos.dataset import load_dataset
    from imgcli.training.choosing import Budget, Judge, cheapest_first, check_arch, nested_shares

    budget = Budget(minutes)
    names = [*archs_at_hand()] if names is None else names
    if not names:
        raise ModelError(
            "No pretrained weights are at hand: none are installed or were fetched before. With a "
            "network, name some to fetch: imgcli choose --archs small"
        )
    for name in names:
        check_arch(name)
    common = training_config(
        arch=names[0],
        freeze=True,
        group_by=_specs(group_by),
        group_table=None if group_table is None else str(group_table),
    ).with_(seed=seed)

    dataset = load_dataset(data, config=common.data)
    shares = nested_shares(dataset, seed, photos)
    if not shares:
        least = len(nested_shares(dataset, seed)[0])
        raise WrongUsage(
            f"--photos {photos} is too few: candidates are first judged on {least:,} of the "
            f"{len(dataset.split.train):,} training photos of '{data}'. Use at least {least}."
        )
    rounds = Rounds(cheapest_first(names, len(dataset.samples.classes)), shares)
    kept = out / FOLDER / "kept"
    kept.mkdir(parents=True, exist_ok=True)  # before the work, which is not to be lost
    about = about_choice(common, out / FOLDER, data, folds)
    with trackers_of(follow, out / FOLDER) as trackers, trackers.run(about) as tracked:
        rounds.run(Judge(dataset, common, folds, device, kept, tracked), budget)
        asked = _Asked(folds, device, data, out, len(dataset.split.train))
        result = _stored(rounds, common, asked)
        add_choice(tracked, result)
    return result


def _names(archs: str | Sequence[str] | None) -> list[str] | None:
    """The candidates by name, each once; None for those at hand."""
    if archs is None:
        return None
    from imgcli.models.at_hand import SMALL
    from imgcli.models.bundled import bundled_archs

    given = archs.split(",") if isinstance(archs, str) else archs
    found: list[str] = []
    for name in (part.strip() for part in given):
        if name == "bundled":
            if not bundled_archs():
                raise ModelError(
                    "--archs bundled: no weights came with this installation. Install imgcli with "
                    "its dependencies, or name networks to fetch: --archs small"
                )
            found += bundled_archs()
        elif name:
            found += SMALL if name == "small" else [name]
    if not found:
        raise WrongUsage(
            "--archs names no network. Give names as `imgcli archs` lists them, separated by "
            f"commas, or {' or '.join(GROUPS)}; leave it out for all whose weights are at hand."
        )
    return [*dict.fromkeys(found)]


def _specs(group_by: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if not group_by:
        return None
    return (group_by,) if isinstance(group_by, str) else tuple(group_by)


# --- the result ---------------------------------------------------------------------------------


class _Asked(NamedTuple):
    """What was asked for, beside the candidates and what the config holds."""

    folds: int
    device: str
    data: Path
    out: Path
    photos: int  # of the train part


def _stored(rounds: "Rounds", common: TrainConfig, asked: _Asked) -> ChooseResult:
    """The result of some rounds, and its document in the folder."""
    from imgcli.files import write_json
    from imgcli.training.choosing import minutes_for

    assert rounds.standings is not None
    best = rounds.standings.best
    config = common.with_(arch=best)
    n = max(map(len, rounds.judged.values()))
    candidates = [_json(rounds, one) for one in _in_order(rounds)]
    cheaper = _cheaper(rounds)
    command = train_command(config, asked.data, asked.out)
    document = {
        "data": str(asked.data),
        "folds": asked.folds,
        "seed": common.seed,
        "n": n,
        "photos": asked.photos,
        "best": best,
        "cheaper": cheaper,
        "candidates": candidates,
        "command": command,
        "repeat": _repeat(rounds, common, asked),
        "minutes_left": minutes_for(rounds.seconds_left) if rounds.seconds_left else 0,
    }
    write_json(asked.out / FOLDER / DOCUMENT, document, hashed=True)
    return ChooseResult(
        tuple(candidates), best, cheaper, n, asked.photos, config, command, document
    )


def _in_order(rounds: "Rounds") -> "list[Candidate]":
    """Judged on most photos first, of those the most accurate; then the others, cheapest first."""
    assert rounds.standings is not None
    place = {arch: i for i, arch in enumerate(rounds.standings.ranked)}
    judged = sorted(
        rounds.judged,
        key=lambda one: (
            -len(rounds.judged[one]),
            place.get(one.arch, 0),
            rounds.behind[one.arch][1].value if one.arch in rounds.behind else 0.0,
        ),
    )
    rest = [one for one in (*rounds.too_long, *rounds.left_out) if one not in rounds.judged]
    return [*judged, *rest]


def _json(rounds: "Rounds", one: "Candidate") -> dict[str, Any]:
    """A candidate, as it is in the document."""
    from imgcli.evaluation.evaluate import summaries
    from imgcli.evaluation.metrics import FIGURES

    said, speed = rounds.judged.get(one), rounds.speeds.get(one)
    shown = ("accuracy", "macro_precision")
    figures: dict[str, Any] = dict.fromkeys(shown)
    if said is not None:
        found = summaries(said, {name: FIGURES[name] for name in shown})
        figures = {name: asdict(found[name]) for name in shown}
    first, behind = rounds.behind.get(one.arch, (None, None))
    return {
        "arch": one.arch,
        "status": _status(rounds, one),
        "n": 0 if said is None else len(said),
        **figures,
        "behind": behind and {"arch": first, **behind.to_json()},
        "images_per_second": speed and speed.images_per_second,
        "input": list(one.input),
        "params": one.params,
        "bytes": one.params * _BYTES,
        "macs": one.macs,
        "reason": rounds.left_out.get(one),
    }


def _status(rounds: "Rounds", one: "Candidate") -> str:
    if one in rounds.left_out:
        return "left out"
    if one in rounds.too_long:
        return "not judged"
    return "judged" if one in rounds.alive else "dropped"


def _cheaper(rounds: "Rounds") -> str | None:
    """The fewest multiply-adds of those that are not shown to be less accurate than the best."""
    assert rounds.standings is not None
    behind, best = rounds.standings.behind, rounds.standings.best
    (macs,) = (one.macs for one in rounds.candidates if one.arch == best)
    equal = [
        one
        for one in rounds.alive
        if one.arch in behind and not behind[one.arch].shown and one.macs < macs
    ]
    return min(equal, key=lambda one: one.macs).arch if equal else None


def _repeat(rounds: "Rounds", common: TrainConfig, asked: _Asked) -> str:
    """The command that comes to the same, however fast the machine is."""
    judged = [one.arch for one in rounds.candidates if one in rounds.judged]
    words = ["imgcli", "choose", "--archs", ",".join(judged), "--photos", str(rounds.n)]
    words += ["--minutes", "inf"]
    options: list[tuple[str, object, object]] = [
        ("--folds", asked.folds, 10),
        ("--data", asked.data, Path("dataset")),
        ("--out", asked.out, Path("runs")),
        ("--seed", common.seed, 0),
        ("--device", asked.device, "auto"),
        *(("--group-by", spec, None) for spec in common.data.group_by or ()),
        ("--group-table", common.data.group_table, None),
    ]
    for name, value, default in options:
        words += [name, str(value)] if value != default else []
    return join(words)
