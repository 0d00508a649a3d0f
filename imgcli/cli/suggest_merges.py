"""`imgcli suggest-merges`: which classes nobody can tell apart."""

from typing import TYPE_CHECKING

from imgcli.cli.options import Json, Quiet, RunName
from imgcli.errors import RunError

if TYPE_CHECKING:
    from imgcli.workspace import Run


def suggest_merges(run: RunName = "latest", json: Json = False, quiet: Quiet = False) -> None:
    """Suggest which classes to merge.

    Looks at what the model confuses, and only on photos that it had not seen:
    the predictions of the last `imgcli evaluate --folds`. For each suggestion:
    the evidence, the accuracy after the merge, and why. An empty list is a
    good answer.

    Examples:

      imgcli suggest-merges

      imgcli suggest-merges --run latest --json
    """
    from imgcli import workspace
    from imgcli.progress import be_quiet

    be_quiet(quiet)
    suggest_and_show(workspace.find_run(run), json=json)


def suggest_and_show(run: "Run", *, json: bool) -> None:
    """Judge the run's out-of-fold predictions, store the suggestions, and print them."""
    from imgcli import storage
    from imgcli.cli.console import show, show_json
    from imgcli.judge.merges import suggest_merges
    from imgcli.report import tables

    if not (run.folder / "predictions-folds.npz").is_file():
        raise RunError(
            f"The run '{run.folder}' has no out-of-fold predictions to judge by, and the test part "
            "decides nothing. Make them first: imgcli evaluate --folds 10"
        )
    predictions = run.load_predictions("predictions-folds.npz")
    accuracy = float((predictions.preds == predictions.targets).mean())
    suggestions = suggest_merges(predictions)
    document = {
        "run": str(run.folder),
        "accuracy": accuracy,
        "suggestions": [storage.as_json(suggestion) for suggestion in suggestions],
    }
    run.write_json("merges.json", document)
    if json:
        show_json(document)
    else:
        show(tables.merges(suggestions, accuracy))
