"""Weights & Biases offline: its own files, read back."""

import json
import os
import subprocess
import sys
from pathlib import Path

from imgcli.tracking.session import known_trackers
from tests.support.wandb_files import Offline, config_of, read

COMMANDS = (
    "train --arch 4C3-G --image-size 8 --epochs 2 --lr 0.01 --device cpu --track wandb --json",
    "evaluate --folds 2 --json",
)
PROGRAM = """
import sys
from imgcli.cli.main import main
for words in sys.argv[1:]:
    sys.argv = ["imgcli", *words.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
    print("=====")
"""


def with_losses(one: Offline) -> bool:
    return any("batch/loss" in row for row in one.history)


def test_without_a_key_runs_and_folds_are_kept_offline(here: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *COMMANDS],
        env={**kept, "HOME": str(here), "SOME_PASSWORD": "hidden-word"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, second, _ = done.stdout.split("=====\n")
    made, judged = json.loads(first), json.loads(second)  # nothing else is on stdout
    notes = [line for line in done.stderr.splitlines() if "wandb" in line]
    assert len(notes) == 2 and all("no API key is set" in note for note in notes)  # one a command

    found = [read(path) for path in Path("wandb").glob("offline-run-*/*.wandb")]
    (train,) = (one for one in found if one.run.job_type == "train" and with_losses(one))
    (added,) = (one for one in found if one.run.job_type == "train" and not with_losses(one))
    folds = sorted(
        (one for one in found if one.run.job_type == "fold"), key=lambda one: one.run.display_name
    )
    name = Path(made["run"]).name
    assert train.run.run_id == known_trackers(Path(made["run"]))["wandb"]["id"]
    assert {(one.run.run_group, one.run.project) for one in found} == {(name, "imgcli")}
    assert config_of(train)["lr"] == 0.01 and train.exit_code == 0
    losses = [row for row in train.history if "batch/loss" in row]
    assert [row["_step"] for row in losses] == list(range(1, len(losses) + 1))
    assert train.summary["final/val/accuracy"] == made["val"]["accuracy"]
    assert [(one.run.job_type, one.run.display_name) for one in folds] == [
        ("fold", "Fold 1 of 2"),
        ("fold", "Fold 2 of 2"),
    ]
    assert all("held/accuracy" in one.summary for one in folds)
    assert added.run.run_id == train.run.run_id
    assert added.summary["folds/accuracy"] == judged["accuracy"]["value"]
    assert any(row.get("confusion/_type") == "image-file" for row in added.history)
    whole = b"".join(path.read_bytes() for path in Path("wandb").rglob("*") if path.is_file())
    assert b"hidden-word" not in whole and b"--track" not in whole  # no command line either
