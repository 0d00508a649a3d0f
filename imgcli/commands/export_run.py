"""`imgcli.export_run`: a run as a file or folder that other programs use.

It is not `imgcli.export`, the package that writes: once that is imported, the name is taken.
"""

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from imgcli.commands.folders import names, optional_path
from imgcli.commands.results import Result
from imgcli.errors import Refused, WrongUsage
from imgcli.export.options import MAX_OPSET, MIN_OPSET, OPSET, Options, Precision
from imgcli.text import count, listed, megabytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imgcli.export.classifier import Exported
    from imgcli.export.gate import Gate
    from imgcli.photos.dataset import Dataset
    from imgcli.runs import Run


class Format(NamedTuple):
    """A format, and the module of imgcli.export that writes it.

    A module of a file has NAME, `write(exported, file, options, about, ...)` and `load(file)`, by
    which the file is compared with imgcli. A module of a folder has `write(runs, folder)`
    and COMPARED, the sentence on what it has compared.
    """

    module: str
    is_file: bool = True
    needs: tuple[str, ...] = ()  # packages of the extra "export"
    precisions: tuple[Precision, ...] = ("fp32",)


FORMATS = {
    "onnx": Format(
        "onnx_file",
        needs=("onnx", "onnxruntime", "onnxscript"),
        precisions=("fp32", "fp16", "int8"),
    ),
    "torchscript": Format("torchscript_file", precisions=("fp32", "fp16")),
    "timm": Format("timm_folder", is_file=False),
}


@dataclass(frozen=True, eq=False, repr=False)
class ExportResult(Result):
    """What was written, and how it compares with imgcli."""

    runs: tuple[Path, ...]
    format: str
    precision: str
    out: Path
    files: tuple[Path, ...]
    bytes: int  # of all files
    sha256: Mapping[str, str]  # of each file, by its name in the folder
    input: Mapping[str, Any] | None  # of a file: name, type, shape, and what the graph does
    classes: tuple[str, ...]
    gate: "Gate | None"  # None for a folder
    accuracy: Mapping[str, Any] | None  # lost by int8 and fp16
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        gate = None if self.gate is None else self.gate.to_json()
        return {
            "run": " + ".join(map(str, self.runs)),
            "format": self.format,
            "precision": self.precision,
            "out": str(self.out),
            "files": [str(file) for file in self.files],
            "bytes": self.bytes,
            "sha256": dict(self.sha256),
            "input": None if self.input is None else dict(self.input),
            "classes": list(self.classes),
            "gate": gate if gate is None else {**gate, "accuracy": self.accuracy},
            "notes": list(self.notes),
        }

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", " + ".join(map(str, self.runs))
        yield "files", f"{listed(self.files, 3)} ({megabytes(self.bytes)})"
        if self.gate is not None:
            photos = count(self.gate.n, "photo")
            yield "compared on", f"{photos}: {self.gate.same_class:,} of the same class"


def export_run(
    format: str = "onnx",
    *,
    run: str | Path | Sequence[str | Path] = "latest",
    out: str | Path | None = None,
    precision: Precision = "fp32",
    opset: int | None = None,
    min_precision: float | None = None,
    data: str | Path | None = None,
    force: bool = False,
    repo: str | None = None,
) -> ExportResult:
    """Write a run for other programs; of several runs, the mean of their probabilities.

    The file is run by the other program's library on photos that Pillow alone has decoded, and kept
    only if its probabilities are imgcli's.

    Args:
        format: one of FORMATS: "onnx" or "torchscript", one file from decoded photos of any size
            to probabilities; "timm", a folder of weights, config and model card.
        run: "latest", a folder's name under runs/, a path, or several of these.
        out: the folder; by default export/<format> in the run's folder.
        precision: of weights and layers; int8 is calibrated on training photos.
        opset: of ONNX.
        min_precision: the file names the confidence from which on this share of the answers is
            correct, as for `predict`.
        data: the runs' dataset, where it is not where it was.
        force: replace what is in `out`; an earlier export is replaced without it.
        repo: the repository of the hub that a folder goes to, owner/name, for its card.

    Raises:
        ImgcliError: what the command line would say.
    """
    kind = _checked(format, precision, opset, min_precision)

    from imgcli.run_lookup import find_runs

    runs = find_runs(names(run))
    out = optional_path(out) or _default_folder(runs, format, precision)
    if not kind.is_file:
        return _export_folder(runs, format, kind, out, force, optional_path(data), repo)

    from imgcli.evaluation.calibration import temperature_of
    from imgcli.export.comparison import Comparison
    from imgcli.export.folder import is_export, user_files
    from imgcli.export.held_out import dataset_of
    from imgcli.files import writing
    from imgcli.staging import staged_folder

    temperatures = [temperature_of(one) for one in runs]
    threshold = None
    if min_precision is not None:
        from imgcli.commands.predict import selective_threshold

        threshold = selective_threshold(runs, temperatures, min_precision).threshold
    dataset = dataset_of(runs[0], optional_path(data))
    exported = _loaded(runs, temperatures)
    options = Options(precision, opset or OPSET)
    about = _about(exported, options, format, runs, min_precision, threshold)
    writer = import_module(f"imgcli.export.{kind.module}")
    with staged_folder(out, replace=force or is_export(out), user_files=user_files) as staged:
        file = staged.folder / writer.NAME
        more = [_calibration(exported, dataset)] if format == "onnx" else []
        with writing(out / writer.NAME, by=file):
            writer.write(exported, file, options, about, *more)
        comparison = Comparison(runs, temperatures, exported, dataset, writer.load(file))
        gate, notes = comparison.gate(strict=precision == "fp32")
        accuracy = None
        if precision != "fp32":
            accuracy = comparison.accuracy_lost(f"export --precision {precision}")
            if accuracy is None:
                notes.append(
                    "The accuracy that is lost is not known: the dataset has no validation and no "
                    "test photos."
                )
        result = _result(
            runs, format, precision, out, staged.folder, exported, (gate, accuracy, notes)
        )
    if staged.kept:
        from imgcli.progress import note

        note(staged.kept)
    return result


def _checked(format: str, precision: str, opset: int | None, min_precision: float | None) -> Format:
    """The format, if all choices go with it.

    Raises:
        WrongUsage: they do not.
        Refused: a package is missing.
    """
    if format not in FORMATS:
        raise WrongUsage(f"--format {format} is not known; use {', '.join(FORMATS)}.")
    kind = FORMATS[format]
    if precision not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise WrongUsage(f"--precision {precision} is not known; use {known}.")
    if precision not in kind.precisions:
        raise WrongUsage(
            f"--precision {precision} is not for --format {format}; use "
            f"{' or '.join(kind.precisions)}."
        )
    if opset is not None:
        if format != "onnx":
            raise WrongUsage(f"--opset {opset} is of ONNX, not of --format {format}.")
        if not MIN_OPSET <= opset <= MAX_OPSET:
            raise WrongUsage(f"--opset {opset} is not supported; use {MIN_OPSET} to {MAX_OPSET}.")
    if min_precision is not None and not 0 < min_precision < 1:
        raise WrongUsage(
            f"--min-precision {min_precision:g} is not a share between 0 and 1, such as 0.95."
        )
    if min_precision is not None and not kind.is_file:
        raise WrongUsage(
            f"--min-precision {min_precision:g} is not for --format {format}, whose reader gives "
            "probabilities alone; use --format onnx."
        )
    lacking = [name for name in kind.needs if importlib.util.find_spec(name) is None]
    if lacking:
        raise Refused(
            f"imgcli export --format {format} needs {' and '.join(lacking)}. Get it with: "
            "pip install 'imgcli[export]'"
        )
    return kind


def _default_folder(runs: "Sequence[Run]", format: str, precision: str) -> Path:
    """The folder of an export: in that of its run, or of its first run."""
    bag = f"-mean-of-{len(runs)}" if len(runs) > 1 else ""
    less = "" if precision == "fp32" else f"-{precision}"
    return runs[0].folder / "export" / f"{format}{less}{bag}"


def _loaded(runs: "Sequence[Run]", temperatures: Sequence[float]) -> "Exported":
    from imgcli.errors import RunError
    from imgcli.export.classifier import Exported
    from imgcli.training.model_io import load_model

    loaded = [load_model(one) for one in runs]
    for one, (_, classes, _) in zip(runs, loaded, strict=True):
        if classes != loaded[0][1]:
            raise RunError(
                f"The runs '{runs[0].folder}' and '{one.folder}' know different classes; their "
                "probabilities have no mean."
            )
    networks = tuple(network for network, _, _ in loaded)
    return Exported(networks, tuple(temperatures), loaded[0][1])


def _calibration(exported: "Exported", dataset: "Dataset") -> "Iterator[NDArray[np.uint8]]":
    """Training photos to calibrate int8 on, decoded one by one."""
    from imgcli.export.held_out import HeldOut
    from imgcli.export.plain_photos import plain_photos

    train = HeldOut(dataset, "train", dataset.split.train)
    return plain_photos(train.calibration, exported.least_side, exported.sample_range)


def _about(
    exported: "Exported",
    options: Options,
    format: str,
    runs: "Sequence[Run]",
    min_precision: float | None,
    threshold: float | None,
) -> dict[str, str]:
    """What a file says of itself: texts, or JSON."""
    from imgcli import __version__

    views = [network.preprocess for network in exported.networks]
    about: dict[str, Any] = {
        "imgcli": __version__,
        "classes": list(exported.classes),
        "arch": [network.arch for network in exported.networks],
        "run": [one.folder.name for one in runs],
        "input": "images: uint8, (batch, height, width, 3), RGB, upright, any size",
        "output": "probabilities: float32, (batch, classes)",
        "least_side": exported.least_side,
        "preprocess": [view.describe() for view in views],
        "fit": [view.fit for view in views],
        "size": [view.size for view in views],
        "temperature": list(exported.temperatures),
        "precision": options.precision,
    }
    if format == "onnx":
        about["opset"] = options.opset
    if threshold is not None:
        about |= {"min_precision": min_precision, "threshold": threshold}
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in about.items()
    }


# --- the folder ---------------------------------------------------------------------------------


def _export_folder(
    runs: "Sequence[Run]",
    format: str,
    kind: Format,
    out: Path,
    force: bool,
    data: Path | None,
    repo: str | None,
) -> ExportResult:
    """An export that is a folder of files, whose writer checks what it writes, with its card."""
    from imgcli.commands.model_card import write_card
    from imgcli.export.folder import is_export, user_files
    from imgcli.staging import staged_folder

    writer = import_module(f"imgcli.export.{kind.module}")
    with staged_folder(out, replace=force or is_export(out), user_files=user_files) as staged:
        writer.write(runs, staged.folder)
        write_card(runs, staged.folder, format, data=data, repo=repo)
        notes = [writer.COMPARED]
        result = _result(runs, format, "fp32", out, staged.folder, None, (None, None, notes))
    if staged.kept:
        from imgcli.progress import note

        note(staged.kept)
    return result


def _result(
    runs: "Sequence[Run]",
    format: str,
    precision: str,
    out: Path,
    folder: Path,
    exported: "Exported | None",
    checked: "tuple[Gate | None, Mapping[str, Any] | None, list[str]]",
) -> ExportResult:
    """The result of what a staged folder holds, which is written beside it as a document."""
    from imgcli.aside import files_in
    from imgcli.export.folder import DOCUMENT
    from imgcli.files import write_json
    from imgcli.reading import digest_of

    gate, accuracy, notes = checked
    written = sorted(files_in(folder))
    digests = {name: digest_of(folder / name) for name in written}
    classes = tuple(runs[0].read_json("model.json")["classes"])
    result = ExportResult(
        runs=tuple(one.folder for one in runs),
        format=format,
        precision=precision,
        out=out,
        files=tuple(out / name for name in written),
        bytes=sum((folder / name).stat().st_size for name in written),
        sha256=digests,
        input=None if exported is None else _input(exported),
        classes=classes,
        gate=gate,
        accuracy=accuracy,
        notes=tuple(notes),
    )
    document = result.to_json()
    document |= {"run": [one.folder.name for one in runs], "files": written}
    del document["out"], document["notes"]  # which name places of this machine
    write_json(folder / DOCUMENT, document)
    return result


def _input(exported: "Exported") -> dict[str, Any]:
    return {
        "name": "images",
        "type": "uint8",
        "shape": ["batch", "height", "width", 3],
        "colours": "RGB",
        "preprocess": [network.preprocess.describe() for network in exported.networks],
        "least_side": exported.least_side,
    }
