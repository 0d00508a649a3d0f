"""The card: what the hub reads of it, what people read, and that its lines of code run."""

import contextlib
import io
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from imgcli.commands.export_run import export_run
from imgcli.commands.model_card import write_card
from imgcli.commands.split import split
from imgcli.report.card.markdown import md
from imgcli.runs import Run
from imgcli.text import printable
from tests.support.evaluations import ODD_NAMES
from tests.support.photos import make_photo, write_classes
from tests.support.predictions import with_twins
from tests.support.runs import judged, reported_run
from tests.support.shell import Shell
from tests.support.trained_runs import begun

MARKDOWN = MarkdownIt("commonmark").enable("table")


def as_read(text: str) -> str:
    """The card as a browser shows it, without its tags."""
    body = text.split("---\n", 2)[2]
    html = MARKDOWN.render(body)
    assert "<script" not in html and "<img" not in html
    return unescape(re.sub(r"<[^>]+>", "", html))


def card_of(run: Run, folder: Path, **how: Any) -> str:
    """The card of a run that was evaluated on paper: it has what a training keeps beside it."""
    known = run.read_json("model.json")
    preprocess = {"size": 32, "fit": "squash", "mean": [0.5] * 3, "std": [0.5] * 3}
    run.write_json("model.json", {**known, "preprocess": preprocess})
    folder.mkdir()
    write_card([run], folder, how.pop("format", "timm"), **how)
    return (folder / "README.md").read_text("utf-8")


def test_it_has_the_figures_with_their_intervals_and_says_what_is_missing(here: Path) -> None:
    run = reported_run(here, folds=judged(12, k=5))
    text = card_of(run, here / "out")
    read = as_read(text)
    assert "Accuracy 80.0 % (n = 60; 5 folds" in read and "95 % interval" in read
    assert "Not evaluated on the sealed test part." in read
    assert "Authors and licences of the photos are not recorded." in read
    meta = yaml.safe_load(text.split("---\n")[1])
    (result,) = meta["model-index"][0]["results"]
    assert result["metrics"][0] == {"type": "accuracy", "name": "accuracy", "value": 0.8}
    known = {"library_name": "timm", "pipeline_tag": "image-classification", "license": "unknown"}
    assert known.items() <= meta.items()
    assert ModelCard(text).data.eval_results[0].metric_value == 0.8


def test_a_run_without_evaluation_says_so_with_the_command(here: Path) -> None:
    run = reported_run(here, classes=["cat", "dog"])
    text = card_of(run, here / "out")
    assert f"imgcli evaluate --folds 10 --run {run.folder}" in text or "--folds 10" in text
    assert "Not evaluated: its accuracy on held-out photos is not known." in text
    assert "before it is evaluated" in text and "model-index" not in text


def test_of_many_classes_the_pairs_confused_most_are_listed_and_merges(here: Path) -> None:
    twins = with_twins(np.random.default_rng(0), k=20, twins=1, n=40)
    run = reported_run(here, folds=replace(twins, fold=np.arange(len(twins)) % 5))
    read = as_read(card_of(run, here / "out"))
    assert "pairs of classes confused most" in read and "true ↓" not in read
    assert "The network cannot tell these classes apart" in read and "c00 + c01" in read


def test_names_stay_what_they_are_and_in_their_cells(here: Path) -> None:
    for name in (*ODD_NAMES, "<script>alert(1)</script> | `x`", "![a](http://x/y.png) ~~b~~ &lt;"):
        (cell,) = re.findall(r"<td>(.*)</td>", MARKDOWN.render(f"| a |\n|---|\n| {md(name)} |"))
        assert unescape(cell) == printable(" ".join(name.split()))


def test_no_folder_of_this_machine_is_named(here: Path) -> None:
    run = begun(here / "runs", arch="test_resnet", image_size=32)
    config = run.read_json("config.json")
    options = {**config["config"], "weights": str(here / "secret/weights.pth")}
    place = {"data": str(here / "secret/photos"), "config": options}
    run.write_json("config.json", {**config, **place})
    (here / "out").mkdir()
    write_card([run], here / "out", "timm")
    text = (here / "out/README.md").read_text("utf-8")
    assert str(here) not in text
    assert "secret" not in text and "--weights weights.pth" in text


@pytest.mark.parametrize("choices", [{"fit": "pad"}, {"channels": 1}, {}], ids=str)
def test_the_lines_of_the_card_predict_as_imgcli_does(
    here: Path, shell: Shell, choices: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(here / "runs", arch="test_resnet", image_size=64, **choices)
    export_run("timm", run=run.folder, out=here / "out")
    code = re.findall(r"```python\n(.*?)```", (here / "out/README.md").read_text("utf-8"), re.S)[0]
    make_photo(5, (150, 90)).save(here / "out/photo.jpg", quality=95)
    (found,) = shell.json("predict", str(here / "out/photo.jpg"))["predictions"]
    monkeypatch.chdir(here / "out")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, {})
    name, probability = said.getvalue().split()
    assert name == found["class"]
    assert float(probability) == pytest.approx(found["confidence"], abs=0.003)


def scraped(path: str, author: str, code: str) -> dict[str, Any]:
    return {
        "path": path,
        "label": path.split("/")[0],
        "source": "openverse",
        "title": "A [red] one",
        "creator": author,
        "license": code,
        "license_version": "4.0",
        "landing_url": "https://example.org/1",
        "file_url": "https://example.org/1.jpg",
        "sha256": "0" * 64,
        "size": 1,
    }


def test_the_photos_licences_are_counted_and_their_authors_named_beside_it(here: Path) -> None:
    write_classes(here / "raw", per_class=4)
    photos = sorted(path.relative_to(here / "raw").as_posix() for path in here.glob("raw/*/*"))
    lines = [scraped(path, "Ann Müller", "by") for path in photos]
    lines.append(scraped("gone/0.png", "Not Trained On", "by"))
    write_lines(here / "raw", lines)
    split("raw", ratio=0.5)
    run = begun(here / "runs", arch="test_resnet", image_size=32)
    text = card_of(run, here / "out")
    assert "license: other" in text and "license_name: licences-of-the-photos" in text
    assert re.search(r"\| CC BY 4\.0 \| 12 \|", text) and "[credits.html](credits.html)" in text
    page = (here / "out/credits.html").read_text("utf-8")
    assert page.count("Ann Müller") == 12 and "Not Trained On" not in page
    assert 'href="blue' not in page  # the photos are not there
    assert not (here / "raw/credits.html").exists()

    write_lines(here / "raw", lines[:5])
    text = card_of(run, here / "less")
    assert "license: unknown" in text and re.search(r"\| not recorded \| 7 \|", text)


def write_lines(folder: Path, lines: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "provenance.jsonl").write_text(text, "utf-8")
