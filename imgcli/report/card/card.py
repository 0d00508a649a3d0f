"""README.md of an exported run: the card that the hub shows, and a reader needs to use it rightly.

---                     what the hub reads: library, task, licence, base model, figures
# resnet18 …            what it is, how good it is, how it is loaded
## Intended use         and what it must not be used for
## Training data        photos per class, their licences and credits
## Evaluation           figures with intervals, confusion, merges suggested
## Training             options, versions
"""

from collections.abc import Iterator

from imgcli import __version__
from imgcli.report.card.figures import figures
from imgcli.report.card.markdown import fenced, md, table
from imgcli.report.card.material import Card
from imgcli.report.card.usage import use
from imgcli.report.terminal.evaluation import baseline_line, measured_on, verdict
from imgcli.text import count, percent

NAME = "README.md"
NAMED = 12  # classes in the first lines
WEAK = 0.5  # recall or precision below which a class is named as one not to rely on
_LIBRARIES = {"timm": "timm", "onnx": "onnx"}


def card(of: Card) -> str:
    """The card as Markdown, with the hub's YAML before it."""
    sections = (_head, use, _intended, _data, figures, _training)
    body = "\n".join(line for section in sections for line in section(of))
    return f"---\n{_front_matter(of)}\n---\n{body}\n"


# --- what the hub reads ---------------------------------------------------------------------------


def _front_matter(of: Card) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = None
    if (evaluated := of.evaluated) is not None:
        evaluation = evaluated.evaluation
        of_what = f"{count(evaluation.n, 'photo')}, {measured_on(evaluation)}"
        results = [
            EvalResult(
                task_type="image-classification",
                dataset_type="imagefolder",
                dataset_name=of_what,
                metric_type=kind,
                metric_name=name,
                metric_value=round(summary.value, 6),
            )
            for kind, name, summary in (
                ("accuracy", "accuracy", evaluation.accuracy),
                ("precision", "macro precision", evaluation.macro_precision),
                ("f1", "macro F1", evaluation.macro_f1),
            )
        ]
    data = ModelCardData(
        library_name=_LIBRARIES.get(of.format, of.format),
        pipeline_tag="image-classification",
        tags=[_LIBRARIES.get(of.format, of.format), "image-classification", "imgcli"],
        license=_licence(of),
        license_name="licences-of-the-photos" if _licence(of) == "other" else None,
        base_model=list(of.base_model) or None,
        metrics=["accuracy", "precision", "f1"],
        model_name=of.runs[0] if results else None,
        eval_results=results,
    )
    return str(data.to_yaml()).strip()


def _licence(of: Card) -> str:
    """The hub's word: what is made of others' photos is under none of its own licences."""
    known = of.licences.photos and not of.licences.unrecorded
    return "other" if known and "no licence known" not in of.licences.photos else "unknown"


# --- the first lines ------------------------------------------------------------------------------


def _head(of: Card) -> Iterator[str]:
    model = of.report.model
    classes, arch = of.classes, str(model["arch"])
    more = len(classes) - NAMED
    named = ", ".join(map(md, classes[:NAMED])) + (f" and {more:,} more" if more > 0 else "")
    yield f"# {md(arch)}, {count(len(classes), 'class', 'classes')}"
    yield ""
    yield (
        f"Classifies photos as one of {count(len(classes), 'class', 'classes')}: {named}. Trained "
        f"with imgcli {__version__} on {count(of.trained_on, 'photo')}; started from "
        f"{of.starts_from}."
    )
    if len(of.runs) > 1:
        yield ""
        yield f"It averages the probabilities of {len(of.runs)} networks that were trained alike."
    yield ""
    evaluated = of.evaluated
    if evaluated is not None:
        yield f"**{md(verdict(evaluated.evaluation))}.** {md(baseline_line(evaluated.evaluation))}"
    else:
        yield f"**{of.not_evaluated}**"
    yield ""


# --- what for -------------------------------------------------------------------------------------


def _intended(of: Card) -> Iterator[str]:
    yield "## Intended use"
    yield ""
    yield (
        "Sorting, searching and counting photos like those it was trained on: of the same classes, "
        "from the same sources. Have people check predictions that matter."
    )
    yield ""
    yield "### Must not be used"
    yield ""
    yield (
        "- as the only ground of a decision about a person: on health, identity, work, credit, "
        "insurance, policing or access;"
    )
    yield "- where a wrong prediction can hurt someone, without a test for that use;"
    yield (
        "- on photos that show none of the classes: every photo is given one of them, often with "
        "high confidence;"
    )
    yield (
        "- on photos of another origin (camera, place, season, style) without measuring the "
        "accuracy there first: `imgcli evaluate --data FOLDER`;"
    )
    weak = _weak(of)
    if weak:
        yield f"- where these classes decide, which are often wrong: {'; '.join(weak)};"
    if of.evaluated is None:
        yield "- before it is evaluated;"
    yield "- as a measure of how common the classes are in a collection: errors do not cancel out."
    yield ""
    for warning in of.report.warnings:
        yield f"**Note.** {md(warning)}"
        yield ""


def _weak(of: Card) -> list[str]:
    evaluated = of.evaluated
    if evaluated is None:
        return []
    return [
        f"{md(row.name)} (precision {percent(row.precision)}, recall {percent(row.recall)}, "
        f"n = {row.n:,})"
        for row in evaluated.evaluation.per_class
        if row.n and min(row.recall or 0.0, row.precision or 0.0) < WEAK
    ]


# --- photos ---------------------------------------------------------------------------------------


def _data(of: Card) -> Iterator[str]:
    yield "## Training data"
    yield ""
    report = of.report
    if report.samples is not None and report.split is not None:
        counts = {part: report.samples.counts(rows) for part, rows in report.split.parts.items()}
        total = sum(int(of_part.sum()) for of_part in counts.values())
        yield (
            f"{count(total, 'photo')} of {count(len(report.samples.classes), 'class', 'classes')}; "
            "the photos are not part of this repository. Photos per class and part:"
        )
        yield ""
        rows = [
            [md(name), *(f"{int(of_part[i]):,}" for of_part in counts.values())]
            for i, name in enumerate(report.samples.classes)
        ]
        totals = ["**all**", *(f"**{int(of_part.sum()):,}**" for of_part in counts.values())]
        yield from table(["class", *counts], [*rows, totals])
    else:
        yield (
            f"{count(of.trained_on, 'photo')}, which are not part of this repository; their "
            "number per class is not recorded with the run."
        )
    yield ""
    yield "### Licences and credits of the photos"
    yield ""
    yield from _licences(of)
    yield ""


def _licences(of: Card) -> Iterator[str]:
    licences = of.licences
    if licences.photos:
        rows = [[md(name), f"{n:,}"] for name, n in licences.photos.items()]
        if licences.unrecorded:
            rows.append(["not recorded", f"{licences.unrecorded:,}"])
        yield from table(["licence", "photos"], rows)
        yield ""
        if licences.page:
            yield (
                f"Title, author, source and licence of each photo: [{licences.page}]"
                f"({licences.page}). Pass it on with the model."
            )
    else:
        yield (
            "Authors and licences of the photos are not recorded. Whoever publishes the model has "
            "to know that they allow it."
        )
    yield ""
    yield (
        "No licence has been chosen for the weights. Choose one that the photos' licences and the "
        "weights it started from allow, and name it in the first lines of this file."
    )


# --- training -------------------------------------------------------------------------------------


def _training(of: Card) -> Iterator[str]:
    model = of.report.model
    yield "## Training"
    yield ""
    yield "```"
    yield fenced(of.command)
    yield "```"
    yield ""
    params = model.get("params") or {}
    seconds = model.get("seconds")
    facts = [
        ("start", md(of.starts_from)),
        ("parameters", f"{params['total']:,}" if "total" in params else "–"),
        ("of them trained", f"{params['trainable']:,}" if "trainable" in params else "–"),
        ("training time", f"{seconds:,.0f} s" if isinstance(seconds, int | float) else "–"),
        ("run", ", ".join(f"`{fenced(name)}`" for name in of.runs)),
    ]
    yield from table(["", ""], facts)
    yield ""
    yield "Versions: " + ", ".join(f"{k} {md(v)}" for k, v in of.report.versions.items()) + "."
