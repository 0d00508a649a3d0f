"""`imgcli push`, and a training that starts from what it uploaded."""

import contextlib
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch

from imgcli.export import timm_folder, upload
from imgcli.run_lookup import find_run
from imgcli.training.model_io import load_model
from tests.support.fake_hub import TOKEN, FakeHub, Repo, asked_by, use
from tests.support.photos import write_classes, write_dataset
from tests.support.shell import Shell, imgcli
from tests.support.trained_runs import begun

# Of huggingface_hub, where it hands a file to its library for HTTP.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
TINY = ("--arch", "test_resnet", "--image-size", "32", "--quiet")
Patch = pytest.MonkeyPatch


@pytest.fixture
def hub(here: Path, monkeypatch: Patch) -> Iterator[FakeHub]:
    with asked_by(monkeypatch, here / "cache") as hub:
        yield hub


@pytest.fixture
def run(here: Path) -> None:
    """A run in the current folder, as before its training."""
    begun(here / "runs", arch="test_resnet", image_size=32)


def test_a_run_goes_to_the_hub_and_a_training_starts_from_it(
    here: Path, hub: FakeHub, shell: Shell
) -> None:
    write_classes(here / "raw", per_class=10)
    assert imgcli("split", "raw", "--ratio", "0.7", "--quiet") == 0
    assert imgcli("train", *TINY, "--no-pretrained", "--epochs", "1") == 0
    done = shell.json("push", "lab/owls")
    assert done["repo"] == "lab/owls" and done["url"] == f"{hub.endpoint}/lab/owls"
    assert {file["path"] for file in done["files"]} == hub.repos["lab/owls"].head.keys()
    assert len(hub.repos["lab/owls"].commits) == 1
    (here / "read").mkdir()
    for name, content in hub.repos["lab/owls"].head.items():
        (here / "read" / name).write_bytes(content)

    first, classes, _ = load_model(find_run())
    read = timm.create_model(f"local-dir:{here / 'read'}", pretrained=True).eval()
    images = torch.rand(4, 3, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(read(images), first.classifier(images), atol=1e-5)
    assert read.pretrained_cfg["label_names"] == list(classes) == ["blue", "green", "red"]

    # The learning rate is so low that the start is seen in the end.
    code, _, err = shell("train", "--weights", "hf://lab/owls", "--epochs", "1", "--lr", "1e-9")
    assert code == 0, err
    assert "'hf://lab/owls" in err and "are of --arch test_resnet, by their config.json" in err
    assert "its classifier is the start too" in err
    second, _, _ = load_model(find_run())
    with torch.inference_mode():
        logits = second.classifier(images), first.classifier(images)
    assert torch.allclose(*logits, atol=1e-3)
    config = find_run().config.model
    assert config.weights == f"hf://lab/owls@{done['commit']}" and config.image_size == 32


def test_a_dry_run_lists_the_files_and_asks_nobody(run: None, hub: FakeHub, shell: Shell) -> None:
    code, out, _ = shell("push", "lab/owls", "--dry-run")
    assert code == 0 and hub.log == [] == list(hub.repos)
    assert "model.safetensors" in out and "README.md" in out and "not uploaded" in out
    assert shell.json("push", "owls", "--dry-run")["url"] is None


def test_the_card_names_the_repository_and_the_token_is_nowhere(
    run: None, hub: FakeHub, shell: Shell, here: Path
) -> None:
    code, out, err = shell("push", "lab/owls")
    assert code == 0 and f"Uploaded: {hub.endpoint}/lab/owls" in out
    assert 'timm.create_model("hf-hub:lab/owls", pretrained=True)' in (
        hub.repos["lab/owls"].head["README.md"].decode()
    )
    assert f"Bearer {TOKEN}" in hub.tokens
    kept = b"".join(path.read_bytes() for path in here.rglob("*") if path.is_file())
    sent = b"".join(hub.repos["lab/owls"].head.values())
    assert TOKEN not in out + err and TOKEN.encode() not in kept + sent


def test_a_name_alone_is_a_repository_of_ones_own(run: None, hub: FakeHub, shell: Shell) -> None:
    assert shell.json("push", "owls", "--private")["repo"] == "me/owls"
    assert hub.repos["me/owls"].private
    assert shell.json("push", "owls", "--private")["repo"] == "me/owls"  # again
    assert len(hub.repos["me/owls"].commits) == 2


def test_private_never_writes_to_a_public_repository(run: None, hub: FakeHub, shell: Shell) -> None:
    hub.repos["lab/owls"] = Repo()
    code, _, err = shell("push", "lab/owls", "--private")
    assert code == 1 and "is public, which --private does not change" in err
    assert hub.repos["lab/owls"].commits == []


@pytest.mark.parametrize("name", ["a/b/c", "lab/", "../x", "lab/ow ls", "x" * 200, "lab/-x--y"])
def test_a_name_of_no_repository_is_wrong_usage(run: None, shell: Shell, name: str) -> None:
    code, _, err = shell("push", name, "--dry-run")
    assert code == 2 and "Use OWNER/NAME, such as lab/owls" in err


def test_a_run_that_is_no_folder_of_timm_is_refused_and_nothing_is_made(
    here: Path, hub: FakeHub, shell: Shell
) -> None:
    begun(here / "runs", arch="8C3-P2", image_size=16)
    code, _, err = shell("push", "lab/owls")
    assert code == 1 and "--format onnx" in err and err.count("\n") == 1
    assert not hub.repos


def test_what_timm_does_not_build_goes_as_onnx_with_lines_that_run_it(
    here: Path, hub: FakeHub, shell: Shell, monkeypatch: Patch
) -> None:
    write_dataset(here / "dataset")
    words = ("--arch", "8C3-P2", "--image-size", "16", "--epochs", "1", "--quiet")
    assert imgcli("train", *words) == 0
    photo = min((here / "dataset/test").glob("*/*.png"))
    (found,) = shell.json("predict", str(photo))["predictions"]
    files = {file["path"] for file in shell.json("push", "lab/owls", "--format", "onnx")["files"]}
    assert files == {"model.onnx", "README.md"} == hub.repos["lab/owls"].head.keys()
    card = hub.repos["lab/owls"].head["README.md"].decode()
    assert "library_name: onnx" in card and "predicts the same class as imgcli for" in card
    (code,) = re.findall(r"```python\n(.*?)```", card, re.S)
    (here / "read").mkdir()
    (here / "read/model.onnx").write_bytes(hub.repos["lab/owls"].head["model.onnx"])
    shutil.copy(photo, here / "read/photo.jpg")
    monkeypatch.chdir(here / "read")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, {})
    name, probability = said.getvalue().split()
    assert name == found["class"]
    assert float(probability) == pytest.approx(found["confidence"], abs=1e-2)


@pytest.mark.parametrize(
    ("asked", "fault", "said"),
    [
        ("create", 401, "does not accept the token (401)"),
        ("create", 403, "may not write to 'lab/owls'"),
        ("create", 500, "failed (500) about 'lab/owls'"),
        ("create", "cut", "The connection to"),
        ("create", "hang", "did not answer in time"),
        ("preupload", 404, "that may be written to (404)"),
        ("preupload", 429, "wants fewer requests (429)"),
        ("lfs", 503, "failed (503)"),
        ("upload", "cut", "The connection to"),
        ("commit", 409, "something else is changing (409)"),
        ("commit", 413, "refused 'lab/owls' (413)"),
        ("yaml", 400, "lab/owls"),
    ],
)
def test_what_the_hub_refuses_is_a_sentence_with_the_remedy(
    run: None,
    hub: FakeHub,
    shell: Shell,
    monkeypatch: Patch,
    asked: str,
    fault: int | str,
    said: str,
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between tries
    monkeypatch.setattr(upload, "PATIENCE", 0.3)
    hub.faults[asked] = fault
    code, out, err = shell("push", "lab/owls", "--quiet")
    assert code == 1 and said in err, err
    assert err.count("\n") == 1 and err.startswith("imgcli: ") and out == ""
    assert not any(repo.commits for repo in hub.repos.values())


def test_without_network_or_token_nothing_is_exported(
    run: None, hub: FakeHub, shell: Shell, monkeypatch: Patch, here: Path
) -> None:
    monkeypatch.setattr(timm_folder, "write", lambda *some: pytest.fail("exported in vain"))
    use(monkeypatch, "http://127.0.0.1:9", here / "cache")
    assert "cannot be reached. Check the network" in shell("push", "lab/owls").err
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in shell("push", "lab/owls").err
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(here / "none"))
    code, _, err = shell("push", "lab/owls")
    assert code == 1 and "There is no token" in err and "hf auth login" in err


def test_classes_of_a_folder_keep_their_rows_of_the_classifier(
    here: Path, hub: FakeHub, shell: Shell
) -> None:
    """By name, whatever their order there."""
    begun(here / "runs", arch="test_resnet", image_size=32)
    assert imgcli("push", "lab/owls") == 0
    repo = hub.repos["lab/owls"]
    config = json.loads(repo.head["config.json"])
    names = ["red", "blue", "green"]  # as if the rows were these
    config |= {"label_names": names, "id2label": dict(enumerate(names))}
    del config["label2id"]
    repo.commit({"config.json": json.dumps(config).encode()})
    write_classes(here / "dataset/train", per_class=6)
    words = ("--weights", "hf://lab/owls", "--epochs", "1", "--lr", "1e-9", "--quiet")
    assert imgcli("train", *words) == 0
    old, _, _ = load_model(find_run(sorted(path.name for path in Path("runs").iterdir())[0]))
    new, classes, _ = load_model(find_run())
    order = [names.index(name) for name in classes]
    expected = old.classifier.head.weight[order]
    assert torch.allclose(new.classifier.head.weight, expected, atol=1e-4)
