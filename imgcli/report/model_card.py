"""README.md of an exported run: the card that the hub shows, and a reader needs to use it rightly.

---                     what the hub reads: library, task, licence, base model, figures
# resnet18 …            what it is, how good it is, how it is loaded
## Intended use         and what it must not be used for
## Training data        photos per class, their licences and credits
## Evaluation           figures with intervals, confusion, merges suggested
## Training             options, versions
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imgcli import __version__
from imgcli.records import ONE_VIEW, ClassFigures, Evaluation, Preprocess, Summary
from imgcli.report.page.context import Evaluated, Report, confused_pairs
from imgcli.report.page.summary import tested
from imgcli.report.table_formats import in_markdown, markdown_lines
from imgcli.report.terminal.evaluation import FIGURES, baseline_line, measured_on, verdict
from imgcli.report.terminal.merges import NONE as NO_MERGES
from imgcli.text import count, interval, percent, plus_minus, printable

NAME = "README.md"
MATRIX = 15  # classes whose whole confusion matrix is shown
PAIRS = 20  # of classes confused most, where they are more
NAMED = 12  # classes in the first lines
WEAK = 0.5  # recall or precision below which a class is named as one not to rely on
_LIBRARIES = {"timm": "timm", "onnx": "onnx"}


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


def card(of: Card) -> str:
    """The card as Markdown, with the hub's YAML before it."""
    sections = (_head, _use, _intended, _data, _evaluation, _training)
    body = "\n".join(line for section in sections for line in section(of))
    return f"---\n{_front_matter(of)}\n---\n{body}\n"


# --- what the hub reads -------------------------------------------------------------------------


def _front_matter(of: Card) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = None
    if (evaluated := _evaluated(of)) is not None:
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


# --- the first lines ----------------------------------------------------------------------------


def _head(of: Card) -> Iterator[str]:
    model = of.report.model
    classes, arch = _classes(of), str(model["arch"])
    more = len(classes) - NAMED
    named = ", ".join(map(md, classes[:NAMED])) + (f" and {more:,} more" if more > 0 else "")
    yield f"# {md(arch)}, {count(len(classes), 'class', 'classes')}"
    yield ""
    yield (
        f"Classifies photos as one of {count(len(classes), 'class', 'classes')}: {named}. Trained "
        f"with imgcli {__version__} on {count(_trained_on(of), 'photo')}; started from "
        f"{of.starts_from}."
    )
    if len(of.runs) > 1:
        yield ""
        yield f"It averages the probabilities of {len(of.runs)} networks that were trained alike."
    yield ""
    evaluated = _evaluated(of)
    if evaluated is not None:
        yield f"**{md(verdict(evaluated.evaluation))}.** {md(baseline_line(evaluated.evaluation))}"
    else:
        yield f"**{_not_evaluated(of)}**"
    yield ""


def _not_evaluated(of: Card) -> str:
    if len(of.runs) > 1:
        return "Not evaluated here: the figures of one network are not those of their mean."
    missing = next(iter(of.report.missing), None)
    command = f" Command: `{missing.command}`." if missing else ""
    return f"Not evaluated: its accuracy on held-out photos is not known.{command}"


def _evaluated(of: Card) -> Evaluated | None:
    return of.report.evaluated if len(of.runs) == 1 else None


def _classes(of: Card) -> list[str]:
    return [str(name) for name in of.report.model["classes"]]


def _trained_on(of: Card) -> int:
    return int((of.report.model.get("train") or {}).get("n", 0))


# --- how it is loaded ---------------------------------------------------------------------------

_TIMM = """\
```python
import timm
import torch
from PIL import Image, ImageOps

{where}model = timm.create_model("{place}", pretrained=True).eval()
settings = timm.data.resolve_data_config({{}}, model=model)
transform = timm.data.create_transform(**settings)
{pad}
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("{mode}")
with torch.inference_mode():
    logits = model(transform(photo)[None])
probabilities = torch.softmax(logits / {temperature}, dim=1)[0]
best = int(probabilities.argmax())
print(model.pretrained_cfg["label_names"][best], float(probabilities[best]))
```"""
_ONNX = """\
```python
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("{file}")
about = session.get_modelmeta().custom_metadata_map
photo = Image.open("photo.jpg")
photo.draft(None, (int(about["least_side"]),) * 2)  # a large JPEG at a fraction of its size
pixels = np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))
(probabilities,) = session.run(None, {{"images": pixels[None]}})[0]
best = int(probabilities.argmax())
print(json.loads(about["classes"])[best], float(probabilities[best]))
```"""
_PAD = """\
for step in transform.transforms:  # timm pads with the mean colour, imgcli with black
    if hasattr(step, "fill"):
        step.fill = 0
"""


def _use(of: Card) -> Iterator[str]:
    yield "## Use"
    yield ""
    if of.format == "timm":
        yield "With [timm](https://github.com/huggingface/pytorch-image-models):"
        yield ""
        yield timm_code(of.preprocess, of.temperature, of.repo)
        yield ""
        yield "With imgcli, as the start of a training on other photos:"
        yield ""
        yield "```"
        yield f"imgcli train --weights hf://{of.repo or 'OWNER/NAME'}"
        yield "```"
        yield ""
    elif of.file is not None:
        yield f"`{of.file}` runs in ONNX Runtime, without imgcli:"
        yield ""
        yield _ONNX.format(file=of.file)
        yield ""
        if of.compared:
            yield of.compared
            yield ""
    yield f"**Preprocessing.** {md(_sentence(of.preprocess.describe()))}"
    if of.format == "timm":
        yield from _differences(of)
    yield ""
    yield from _temperature(of)


def timm_code(preprocess: Preprocess, temperature: float, repo: str | None = None) -> str:
    """The lines that predict a photo with timm, from a repository or the folder of the card."""
    place = f"hf-hub:{repo}" if repo else "local-dir:."
    return _TIMM.format(
        place=place,
        where="" if repo else "# In this file's folder; of the hub: hf-hub:OWNER/NAME\n",
        pad=_PAD if preprocess.fit == "pad" else "",
        mode="L" if preprocess.channels == 1 else "RGB",
        temperature=f"{temperature:.6g}",
    ).replace("\n\n\n", "\n\n")


def _differences(of: Card) -> Iterator[str]:
    yield (
        "timm's transform resizes with Pillow; probabilities differ from those of `imgcli predict` "
        "by the rounding of pixels, and of bf16 where it computes in it."
    )
    if of.preprocess.test_views != ONE_VIEW:
        yield (
            f"The figures below are of the mean over a photo and {of.preprocess.test_views}, as "
            "imgcli predicts; the lines above predict the photo alone."
        )
    if of.preprocess.sample_range is not None:
        yield (
            "Photos of more than 8 bits per sample were scaled as said above; Pillow alone does "
            "not do so."
        )


def _temperature(of: Card) -> Iterator[str]:
    if of.temperature == 1:
        yield (
            "**Calibration.** None: confidences were not compared with the accuracy on held-out "
            "photos."
        )
    elif of.format == "timm":
        yield (
            f"**Calibration.** Divide the logits by {of.temperature:.6g} before softmax, as above: "
            "this temperature was chosen on out-of-fold predictions. The weights are not scaled by "
            "it, so the logits are those of the network that was evaluated; config.json has it "
            "under `imgcli`."
        )
    else:
        yield (
            f"**Calibration.** The logits are divided by {of.temperature:.6g}, chosen on "
            "out-of-fold predictions, before softmax; the file does it."
        )
    yield ""


# --- what for -----------------------------------------------------------------------------------


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
    if _evaluated(of) is None:
        yield "- before it is evaluated;"
    yield "- as a measure of how common the classes are in a collection: errors do not cancel out."
    yield ""
    for warning in of.report.warnings:
        yield f"**Note.** {md(warning)}"
        yield ""


def _weak(of: Card) -> list[str]:
    evaluated = _evaluated(of)
    if evaluated is None:
        return []
    return [
        f"{md(row.name)} (precision {percent(row.precision)}, recall {percent(row.recall)}, "
        f"n = {row.n:,})"
        for row in evaluated.evaluation.per_class
        if row.n and min(row.recall or 0.0, row.precision or 0.0) < WEAK
    ]


# --- photos -------------------------------------------------------------------------------------


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
            f"{count(_trained_on(of), 'photo')}, which are not part of this repository; their "
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


# --- figures ------------------------------------------------------------------------------------


def _evaluation(of: Card) -> Iterator[str]:
    yield "## Evaluation"
    yield ""
    evaluated = _evaluated(of)
    if evaluated is None:
        yield _not_evaluated(of)
        yield ""
        return
    evaluation = evaluated.evaluation
    yield (
        f"{count(evaluation.n, 'photo')}, {md(measured_on(evaluation))}, none of which trained the "
        "network that predicted it. Intervals are 95 % intervals; near-duplicates and photos of "
        "one group count once in them."
    )
    yield ""
    yield from _figures(evaluation)
    yield ""
    if of.report.tested is not None:
        yield md(tested(of.report.tested, of.report.evaluations))
        yield ""
    elif evaluation.on != "test":
        yield "Not evaluated on the sealed test part."
        yield ""
    yield from _per_class(evaluation.per_class)
    yield ""
    yield from _confusion(evaluation)
    yield ""
    yield from _merges(of)


def _figures(evaluation: Evaluation) -> Iterator[str]:
    spread = evaluation.accuracy.folds is not None
    head = ["in %", "value", "95 % interval", *(["folds: mean ± sd", "min–max"] if spread else [])]
    rows = [_figure(name, getattr(evaluation, key), spread) for key, name in FIGURES.items()]
    if evaluation.train is not None:
        rows += [
            _figure(f"{name}, training photos", evaluation.train[key], spread)
            for key, name in FIGURES.items()
            if key in evaluation.train
        ]
    yield from table(head, rows)


def _figure(name: str, summary: Summary, spread: bool) -> list[str]:
    ends = None if summary.min is None or summary.max is None else (summary.min, summary.max)
    cells = [name, percent(summary.value, ""), interval(summary.ci95, "")]
    if spread:
        cells += [plus_minus(summary.mean, summary.std, ""), interval(ends, "")]
    return cells


def _per_class(rows: Sequence[ClassFigures]) -> Iterator[str]:
    yield "### By class"
    yield ""
    yield from table(
        ["in %", "n", "precision", "95 % interval", "recall", "95 % interval", "F1"],
        [
            [
                md(row.name),
                f"{row.n:,}",
                percent(row.precision, ""),
                interval(row.precision_ci95, ""),
                percent(row.recall, ""),
                interval(row.recall_ci95, ""),
                percent(row.f1 if row.n else None, ""),
            ]
            for row in rows
        ],
    )


def _confusion(evaluation: Evaluation) -> Iterator[str]:
    yield "### Confusion"
    yield ""
    names = [md(name) for name in evaluation.classes]
    if len(names) <= MATRIX:
        yield "Photos by their class (rows) and the class predicted (columns):"
        yield ""
        rows = [
            [name, *(f"{int(n):,}" if n else "·" for n in of_class)]
            for name, of_class in zip(names, evaluation.confusion, strict=True)
        ]
        yield from table(["true ↓ predicted →", *names], rows)
        return
    pairs = confused_pairs(evaluation, PAIRS)
    if not pairs:
        yield "No photo was misclassified."
        return
    yield f"The {count(len(pairs), 'pair')} of classes confused most, in photos:"
    yield ""
    yield from table(
        ["a", "b", "a predicted as b", "b predicted as a"],
        [[md(one["a"]), md(one["b"]), f"{one['ab']:,}", f"{one['ba']:,}"] for one in pairs],
    )


def _merges(of: Card) -> Iterator[str]:
    yield "### Classes that may be one"
    yield ""
    merges = of.report.merges
    if merges is None:
        yield "Not looked for: that needs an evaluation by folds."
    elif not merges:
        yield md(of.report.merges_sample_size or NO_MERGES)
    else:
        yield (
            "The network cannot tell these classes apart; a prediction of one of them may as well "
            "be another."
        )
        yield ""
        yield from table(
            ["classes", "photos", "accuracy if merged", "reason"],
            [
                [
                    " + ".join(map(md, one.classes)),
                    f"{one.photos:,}",
                    percent(one.accuracy_after),
                    md(one.reason),
                ]
                for one in merges
            ],
        )
    yield ""


# --- training -----------------------------------------------------------------------------------


def _training(of: Card) -> Iterator[str]:
    model = of.report.model
    yield "## Training"
    yield ""
    yield "```"
    yield _fenced(of.command)
    yield "```"
    yield ""
    params = model.get("params") or {}
    seconds = model.get("seconds")
    facts = [
        ("start", md(of.starts_from)),
        ("parameters", f"{params['total']:,}" if "total" in params else "–"),
        ("of them trained", f"{params['trainable']:,}" if "trainable" in params else "–"),
        ("training time", f"{seconds:,.0f} s" if isinstance(seconds, int | float) else "–"),
        ("run", ", ".join(f"`{_fenced(name)}`" for name in of.runs)),
    ]
    yield from table(["", ""], facts)
    yield ""
    yield "Versions: " + ", ".join(f"{k} {md(v)}" for k, v in of.report.versions.items()) + "."


# --- Markdown -----------------------------------------------------------------------------------


def md(text: str) -> str:
    """A text as Markdown shows it, in one line; a dot where there is none."""
    return in_markdown(" ".join(text.split())) or "·"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table, numbers to the right."""
    rows = list(rows)
    numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(head))]
    return markdown_lines(head, rows, numeric)


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[*\d.,·–±% ]+", cell))


def _fenced(text: str) -> str:
    """A text between back-quotes, where nothing is markup but they are."""
    return printable(text).replace("`", "'")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
