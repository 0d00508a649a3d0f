"""The five commands and predict as they are typed, from an empty folder."""

import json
from pathlib import Path

import pytest

from tests.support.photos import write_classes
from tests.support.shell import Shell

TRAIN = [
    *("train", "--arch", "test_resnet", "--freeze", "--no-pretrained", "--image-size", "32"),
    *("--precision", "fp32"),
]


@pytest.fixture(autouse=True)
def source_folder(here: Path) -> Path:
    return write_classes(here / "photos", per_class=20)


@pytest.mark.usefixtures("rendered")
def test_the_five_commands_find_what_the_one_before_them_left(shell: Shell, tmp_path: Path) -> None:
    imported = shell.json("import", "photos", "--out", "raw")
    assert imported["added"] == 60 and imported["classes"] == {"blue": 20, "green": 20, "red": 20}

    split = shell.json("split", "raw/", "--ratio", "0.9")
    assert split["classes"]["red"] == {"train": 18, "test": 2}

    trained = shell.json(*TRAIN)
    assert set(trained) >= {"run", "arch", "params", "epochs", "images_per_second", "seconds"}
    assert set(trained["train"]) == {"n", "loss", "accuracy", "macro_precision", "macro_f1"}
    assert trained["params"]["trainable"] == 96 * 3 + 3

    judged = shell.json("evaluate", "--folds", "3")
    assert judged["run"] == trained["run"]
    assert (judged["on"], judged["folds"], judged["n"]) == ("train", 3, 54)
    assert set(judged["accuracy"]) == {
        *("value", "ci95", "folds", "mean", "std", "median", "iqr", "min", "max"),
        "effective_n",
    }
    assert len(judged["accuracy"]["folds"]) == 3
    assert sum(map(sum, judged["confusion"]["matrix"])) == 54
    assert {"class", "n", "precision", "precision_ci95", "recall", "recall_ci95", "f1"} <= set(
        judged["per_class"][0]
    )
    run = tmp_path / judged["run"]
    figures = {path.name for path in (run / "figures").glob("*.png")}
    assert figures == {"confusion.png", "precision.png", "folds.png", "reliability.png"}
    assert json.loads((run / "evaluation.json").read_text())["n"] == 54

    merges = shell.json("suggest-merges")
    assert merges["run"] == judged["run"] and isinstance(merges["suggestions"], list)

    (tmp_path / "new").mkdir()
    (tmp_path / "new/notes.jpg").write_text("no picture")
    (tmp_path / "new/a.png").write_bytes((tmp_path / "photos/red/00.png").read_bytes())
    predicted = shell.json("predict", "new")
    (one,) = predicted["predictions"]
    assert one["path"] == "new/a.png" and one["class"] == "red"
    assert one["top"][0] == [one["class"], one["confidence"]] and len(one["top"]) == 3
    assert sum(p for _, p in one["top"]) == pytest.approx(1)
    assert [photo["path"] for photo in predicted["rejected"]] == ["new/notes.jpg"]


def test_what_they_print_for_people_says_what_is_next(shell: Shell, tmp_path: Path) -> None:
    shell("import", "photos")
    shell("split")
    code, out, err = shell(*TRAIN)
    assert code == 0, err
    assert "validation" in out and "Next:    imgcli evaluate --folds 10" in out
    code, out, err = shell("evaluate", "--folds", "2")
    assert code == 0, err
    assert "(n = 54; 2 folds of the train part" in out
    assert "held-out photos" in out and "training photos" in out and "folds.png" in out
    code, out, err = shell("evaluate")
    assert code == 0, err
    assert "The test part has now been scored once." in out
    assert "That score is shown again" in shell("evaluate")[1].replace("that", "That")
    code, out, err = shell("predict", "photos/red/00.png", "--csv", "found.csv")
    assert code == 0, err
    assert (tmp_path / "found.csv").read_text().startswith("path,class,confidence,class_2")


def test_a_bag_is_trained_judged_and_asked_as_one(shell: Shell, tmp_path: Path) -> None:
    shell("import", "photos")
    shell("split")
    documents = shell.json(*TRAIN, "--bag", "2")["bag"]
    together = [word for document in documents for word in ("--run", document["run"])]
    each = [
        json.loads((tmp_path / document["run"] / "config.json").read_text())["config"]["bag"]
        for document in documents
    ]
    assert each == [0, 1]
    judged = shell.json("evaluate", "--folds", "2", *together)
    assert judged["n"] == 54 and judged["run"] == " + ".join(d["run"] for d in documents)
    both, *alone = (
        shell.json("predict", "photos/red/00.png", *runs)["predictions"][0]["top"]
        for runs in (together, together[:2], together[2:])
    )
    mean = {name: (dict(alone[0])[name] + dict(alone[1])[name]) / 2 for name, _ in both}
    assert dict(both) == pytest.approx(mean)
    lines = shell(*TRAIN, "--bag", "2")[1].splitlines()  # a line for each command, to be copied
    assert [line.split()[1] for line in lines if line.count("--run ") == 2] == [
        "evaluate",
        "predict",
    ]
    twice = shell("predict", "photos/red/00.png", *together[:2], *together[:2])
    assert twice[0] == 2 and "is named twice; name different runs" in twice[2]


def test_a_training_goes_on_from_a_run_with_its_head(shell: Shell) -> None:
    shell("import", "photos")
    shell("split")
    plain = ["train", "--arch", "4C3-G", "--image-size", "8", "--lr", "1e-9", "--epochs", "1"]
    first = shell.json(*plain[:-4], "--lr", "0.02", "--epochs", "8")
    again = shell.json(*plain, "--weights", "runs/latest")
    assert again["train"]["loss"] == pytest.approx(first["train"]["loss"], abs=1e-3)
    assert again["val_learnt_by"] is None  # both held out the same photos
    flattered = shell(*plain, "--weights", first["run"], "--seed", "3")[1]
    assert f"Validation is optimistic: the initial weights come from '{first['run']}'" in flattered
    other = shell("train", "--arch", "8C3-G", "--image-size", "8", "--weights", "runs/latest")
    assert other[0] == 1 and "is a run of '4C3-G', whose weights do not fit '8C3-G'" in other[2]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["split", "nowhere"], 1, "No folder 'nowhere'"),
        (["split", "photos", "--ratio", "1.5"], 2, "--ratio 1.5 is not between 0 and 1"),
        (["train", "--arch", "resnet18"], 1, "No dataset 'dataset'"),
        (["train"], 2, "Name a network with --arch"),
        (["train", "--freeze", "--weights", "w.pth"], 2, "Name a network with --arch"),
        (["train", "--arch", "resnet18", "--lr", "-1"], 2, "--lr -1 must be above 0"),
        (["train", "--arch", "x", "--device", "tpu"], 2, "--device tpu is not known"),
        (["train", "--arch", "x", "--model-arg", "pad"], 2, "--model-arg pad is not KEY=VALUE"),
        (["train", "--arch", "x", "--bag", "1"], 2, "--bag 1 has nothing to average"),
        (["train", "--arch", "x", "--lr", "fast"], 2, "--lr fast is neither a number nor auto"),
        (["train", "--resume"], 1, "No unfinished run to resume in 'runs/'"),
        (["train", "--resume", "--lr", "1"], 2, "--lr does not go with --resume"),
        (["train", "--resume", "--model-arg", "a=1"], 2, "--model-arg does not go with --resume"),
        (["train", "--arch", "x", "--run", "y"], 2, "--run y goes with --resume"),
        (["evaluate"], 1, "No finished run in 'runs/'. Train one first"),
        (["evaluate", "--run", "mine"], 1, "No run 'mine' in 'runs/'"),
        (["evaluate", "--on", "all"], 2, "--on all goes with --folds"),
        (["suggest-merges"], 1, "No finished run"),
        (["predict", "photos"], 1, "No finished run"),
        (["predict", "photos", "--top", "0"], 2, "--top 0 must be at least 1"),
    ],
)
def test_bad_input_gets_a_sentence_and_a_code(
    shell: Shell, words: list[str], code: int, said: str
) -> None:
    found, out, err = shell(*words)
    assert (found, out) == (code, "")
    assert said in err and "Traceback" not in err


def test_mistakes_after_the_split_are_sentences_too(shell: Shell, tmp_path: Path) -> None:
    shell("import", "photos")
    shell("split")
    assert "is this very split already" in shell("split")[1]
    other = shell("split", "--seed", "1")
    assert "exists. Choose another --out, or replace it whole with --force" in other[2]
    unknown = shell("train", "--arch", "resnet110")
    assert unknown[0] == 1 and "Did you mean" in unknown[2] and "resnet101" in unknown[2]
    assert shell(*TRAIN)[0] == 0
    assert "no out-of-fold predictions" in shell("suggest-merges")[2]
    assert "No file or folder 'gone.jpg'" in shell("predict", "gone.jpg")[2]
    several = shell("evaluate", "--folds", "99")
    assert several[0] == 1 and "--folds 99 needs at least 99 independent photos" in several[2]
    photo = next((tmp_path / "raw/red").iterdir())
    photo.write_bytes((tmp_path / "photos/blue/00.png").read_bytes())
    changed = shell("evaluate", "--folds", "2")
    assert changed[0] == 1 and "changed" in changed[2] and photo.name in changed[2]
