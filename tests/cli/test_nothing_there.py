"""A command that has nothing to work on says so before it imports what takes seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.runs import write_twins

HEAVY = {"torch", "torchvision", "timm", "sklearn", "scipy", "matplotlib", "optuna", "pyarrow"}

NO_DATASET, NO_RUN = "No dataset 'dataset'. Make one", "No finished run in 'runs/'. Train one first"
NOTHING = {
    "train --arch 8C3-P2": NO_DATASET,
    "train --arch resnet18 --freeze": NO_DATASET,
    "train --arch 8C3-P2 --data nope": "No dataset 'nope'",
    "train --resume": "No unfinished run to resume",
    "choose": NO_DATASET,
    "choose --archs small --data nope": "No dataset 'nope'",
    "choose --archs ,": "--archs names no network",
    "choose --minutes 0": "--minutes 0 must be above 0",
    "tune --arch 8C3-P2": NO_DATASET,
    "tune --arch 8C3-P2 --data nope": "No dataset 'nope'",
    "evaluate": NO_RUN,
    "evaluate --folds 5": NO_RUN,
    "evaluate --run nope": "No run 'nope'",
    "predict x.jpg": NO_RUN,
    "predict x.jpg --run nope": "No run 'nope'",
    "suggest-merges": NO_RUN,
    "suggest-merges --run nope": "No run 'nope'",
    "export": NO_RUN,
    "export --run nope": "No run 'nope'",
    "export --format tflite": "--format tflite is not known; use onnx",
    "report": NO_RUN,
    "report --run nope": "No run 'nope'",
    "compare a b": "No run 'a'",
    "learning-curve": NO_RUN,
    "learning-curve --run nope": "No run 'nope'",
    "bench": "There is no dataset/ or raw/ here",
    "bench nope": "No file or folder 'nope'",
    "check": "There is no dataset/ or raw/ here",
    "check nope": "No folder 'nope'",
    "check --labels": NO_RUN,
    "check --fix relabel.csv": "The plan 'relabel.csv' cannot be read",
    "split": "No folder 'raw'",
    "split nope": "No folder 'nope'",
    "merge a+b": "There is no dataset/ or raw/ here",
    "merge --undo nope": "There is no 'nope/merge.json'",
    "import nope": "There is no 'nope'",
    "import nope.csv": "There is no 'nope.csv'",
    "restore": "Nothing is in quarantine at 'quarantine'",
    "restore nope": "Nothing is in quarantine at 'nope'",
    "credits": "'raw' has no provenance.jsonl",
    "scrape urls nope.csv": "There is no 'nope.csv'",
}
EMPTY = {
    "train --arch 8C3-P2": "'dataset' has no train/ folder",
    "choose": "'dataset' has no train/ folder",
    "tune --arch 8C3-P2": "'dataset' has no train/ folder",
    "evaluate": NO_RUN,
    "bench": "'raw' holds no photo",
    "bench dataset": "'dataset' holds no photo",
    "check": "'raw' holds no photos",
    "split": "'raw' holds no photos",
    "merge a+b": "'raw' holds no photos",
    "import raw --out x": "No photos in 'raw'",
}
WITH_DATASET = {
    "train --arch 8C3-P2 --weights nope.pt": "No weights 'nope.pt'",
    "train --arch 8C3-P2 --pseudo-label raw": "No photo in 'raw'",
    "train --arch 8C3-P2 --pseudo-label nope": "No file or folder 'nope'",
}
WITH_RUN = {
    "evaluate": "No dataset 'dataset'",
    "evaluate --folds 3": "No dataset 'dataset'",
    "evaluate --data nope": "No dataset 'nope'",
    "learning-curve": "No dataset 'dataset'",
    "predict nope.jpg": "No file or folder 'nope.jpg'",
    "predict nope*.jpg": "Nothing matches 'nope*.jpg'",
    "predict empty": "No photo in 'empty'",
    "predict empty.txt": "'empty.txt' names no photo",
}

# Each command in a child of its own; what all of them import is there before.
PROGRAM = """
import io, json, os, sys
import numpy, rich.console, rich.table, tqdm, msgspec
import imgcli.cli.main, imgcli.runs, imgcli.photos.dataset
for words in json.loads(sys.argv[1]):
    read, write = os.pipe()
    if os.fork() == 0:
        sys.stdout = sys.stderr = said = io.StringIO()
        sys.argv = ["imgcli", *words.split()]
        code = None
        try:
            imgcli.cli.main.main()
        except SystemExit as end:
            code = end.code
        answer = json.dumps([code, said.getvalue(), sorted(sys.modules)])
        os.write(write, answer.encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as file:
        print(file.read().decode(), flush=True)
    os.wait()
"""


def check(folder: Path, expected: dict[str, str]) -> None:
    """Type commands; each ends with its sentence, and has imported nothing heavy."""
    before = sorted(os.listdir(folder))
    command = [sys.executable, "-c", PROGRAM, json.dumps(list(expected))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for (words, sentence), (code, said, modules) in zip(expected.items(), answers, strict=True):
        assert code in (1, 2) and sentence in said, (words, said)
        assert not HEAVY & set(modules), words
    left = [name for name in os.listdir(folder) if not name.startswith(".")]
    assert sorted(left) == before


def test_without_photos_and_runs(here: Path) -> None:
    check(here, NOTHING)


def test_with_empty_folders(here: Path) -> None:
    for name in ("raw", "dataset", "runs"):
        (here / name).mkdir()
    check(here, EMPTY)


def test_with_a_dataset_and_without_what_else_is_named(here: Path) -> None:
    (here / "raw").mkdir()
    for part in ("train", "test"):
        (here / f"dataset/{part}/cat").mkdir(parents=True)
        (here / f"dataset/{part}/cat/1.jpg").write_bytes(b"x")
    check(here, WITH_DATASET)


def test_with_a_run_and_without_its_photos(here: Path) -> None:
    write_twins(here)
    (here / "empty").mkdir()
    (here / "empty.txt").write_text("")
    check(here, WITH_RUN)
