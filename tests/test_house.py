"""The shape of the house: imports go one way, nothing unsafe is called, the top level is bare."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[1]
PACKAGE = HOUSE / "imgcli"
GROUND = {"errors", "records", "storage", "workspace", "progress", "wording"}
ROOMS = {"collect", "photos", "models", "learn", "judge", "report"}
ALLOWED = {
    "errors": {"wording"},
    "wording": set(),
    "progress": set(),
    "records": set(),
    "storage": {"errors", "wording"},
    "workspace": GROUND,
    **{room: GROUND | {room} for room in ROOMS},
    "learn": GROUND | {"learn", "photos", "models"},
    "cli": GROUND | ROOMS | {"cli"},
}
# Calls that decode wrongly, unpack unsafely or run what they read; see the rules in the README.
FORBIDDEN = {"extractall", "verify"}
FORBIDDEN_NAMES = {"LOAD_TRUNCATED_IMAGES", "pickle", "allow_pickle=True"}


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield parts[0], path, ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "imgcli":
            yield from (f"imgcli.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_imports_go_one_way() -> None:
    wrong = []
    for room, path, tree in modules():
        for name in imported(tree):
            top, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if top == "imgcli" and target in GROUND | ROOMS | {"cli"} and room in ALLOWED:
                if target not in ALLOWED[room]:
                    wrong.append(f"{path.relative_to(HOUSE)} imports {name}")
    assert wrong == []


def test_judge_and_report_know_no_torch() -> None:
    for room, path, tree in modules():
        if room in ("judge", "report", "collect", "photos", "records", "workspace", "errors"):
            heavy = {name.partition(".")[0] for name in imported(tree)} & {"torch", "timm"}
            assert not heavy, path


def test_nothing_unsafe_is_called() -> None:
    for _, path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in FORBIDDEN, f"{path}:{node.lineno}"
            if isinstance(node, ast.Name | ast.Attribute):
                name = node.id if isinstance(node, ast.Name) else node.attr
                assert name not in FORBIDDEN_NAMES, f"{path}:{node.lineno}"
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant) and node.value.value is False


def test_the_top_level_is_what_the_readme_draws() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=HOUSE, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    top = {name.partition("/")[0] for name in tracked}
    visible = {name for name in top if not name.startswith(".")}
    assert visible == {
        *("pyproject.toml", "README.md", "LICENSE", "imgcli", "tests", "examples", "completions"),
    }


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["import", "--help"]])
def test_help_imports_neither_torch_nor_numpy(words: list[str]) -> None:
    code = (
        "import sys; sys.argv[1:] = sys.argv[1:]\n"
        "from imgcli.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'timm', 'matplotlib', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout
