"""The card of an exported run: its material, as that of the report, and the files beside it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.commands.training_config import train_command
from imgcli.errors import DataError, ModelError
from imgcli.files import write_atomic
from imgcli.models.hub_repository import is_hub, repository
from imgcli.photos.layout import find_manifest
from imgcli.records import Preprocess
from imgcli.text import count

if TYPE_CHECKING:
    from imgcli.commands.export_run import ExportResult
    from imgcli.config import ModelConfig, TrainConfig
    from imgcli.report.card.material import Licences
    from imgcli.runs import Run

CREDITS = "credits.html"


def write_card(
    runs: "Sequence[Run]",
    folder: Path,
    format: str,
    *,
    data: Path | None = None,
    repo: str | None = None,
    exported: "ExportResult | None" = None,
) -> list[Path]:
    """Write README.md into the folder of an exported run, and credits.html for scraped photos.

    No folder of this machine is named in them.

    Args:
        format: what the folder holds: "timm", "onnx".
        data: the dataset; by default where the run has it.
        repo: the repository that it goes to, owner/name.
        exported: the file that is in the folder, where it is one.

    Returns:
        What was written.

    Raises:
        RunError: the run's files are damaged, or not of one training.
    """
    from imgcli.commands.report_data import report_data
    from imgcli.evaluation.calibration import temperature_of
    from imgcli.report.card.card import NAME, card
    from imgcli.report.card.material import Card

    first = runs[0]
    config, data = first.config, data or first.data

    def without_folders(text: str) -> str:
        for place in (data, first.folder):
            text = text.replace(str(place), place.name)
        return text

    report = report_data(first, data, figures=False)
    report = replace(
        report,
        data=data.name,
        warnings=[without_folders(line) for line in report.warnings],
        missing=[replace(one, command=without_folders(one.command)) for one in report.missing],
    )
    licences, page = _licences(data)
    model = first.read_json("model.json")
    text = card(
        Card(
            format=format,
            report=report,
            runs=[run.folder.name for run in runs],
            preprocess=Preprocess.from_json(model["preprocess"]),
            temperature=temperature_of(first),
            starts_from=_starts_from(config.model),
            base_model=_base_model(config.model),
            command=train_command(_without_folders(config), Path(data.name), Path("runs")),
            licences=licences,
            repo=repo,
            file=exported.files[0].name if exported else None,
            compared=_compared(exported),
        )
    )
    written = [folder / NAME]
    write_atomic(folder / NAME, text)
    if page is not None:
        write_atomic(folder / CREDITS, page)
        written.append(folder / CREDITS)
    return written


def _compared(exported: "ExportResult | None") -> str | None:
    """How an exported file compares with imgcli."""
    gate = exported and exported.gate
    if not gate:
        return None
    photos = count(gate.n, f"{gate.on} photo")
    return (
        f"On {photos}, decoded by Pillow, it predicts the same class as imgcli for "
        f"{gate.same_class:,} of {gate.n:,}, and probabilities differ by at most "
        f"{gate.max_difference:.1g}."
    )


def _licences(data: Path) -> "tuple[Licences, str | None]":
    """What is recorded of the dataset's photos, and their page of credits."""
    from imgcli.collect.scrape.credits import credits_page, licences_of, read_credits
    from imgcli.report.card.material import Licences

    manifest = find_manifest(data) if data.is_dir() else None
    places: list[tuple[Path, list[str] | None]] = [(data, None)]
    if manifest is not None:
        places.append((Path(manifest.source), [photo.source for photo in manifest.photos]))
    for folder, among in places:
        try:
            credits, others = read_credits(folder, among)
        except DataError:  # nothing is recorded there
            continue
        page = credits_page(credits, with_files=False)
        return Licences(licences_of(credits), others, CREDITS), page
    return Licences(), None


def _starts_from(model: "ModelConfig") -> str:
    """The weights before training, for people."""
    from imgcli.models.create import starts_from_published

    if model.weights is not None:
        if is_hub(model.weights):
            return f"the weights of {model.weights}"
        return f"the weights {Path(model.weights).name}, which are not published with it"
    if starts_from_published(model):
        frozen = ", which stayed as they are; only the classifier was trained" * model.frozen
        return f"the published weights of {' and '.join(model.archs)}{frozen}"
    return "random weights"


def _base_model(model: "ModelConfig") -> list[str]:
    """The same as repositories of the hub."""
    from imgcli.models.bundled import installed_file
    from imgcli.models.create import starts_from_published
    from imgcli.models.libraries import source_of
    from imgcli.models.weights_cache import is_url

    if model.weights is not None:
        return [repository(model.weights).repo] if is_hub(model.weights) else []
    if not starts_from_published(model):
        return []
    found = []
    for arch in model.archs:
        with suppress(ModelError):  # of another version of the library
            source = None if installed_file(arch) else source_of(arch)
            found += [source] if source and not is_url(source) else []
    return found


def _without_folders(config: "TrainConfig") -> "TrainConfig":
    """The config with the names of files and folders alone."""
    named = {"weights": config.model.weights, "pseudo_label": config.data.pseudo_label}
    named["group_table"] = config.data.group_table
    return config.with_(
        **{key: Path(path).name for key, path in named.items() if path and not is_hub(path)}
    )
