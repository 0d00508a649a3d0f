"""The shape of the house: imports go one way, nothing unsafe is called, the top level is bare."""

import ast
import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.photos import write_classes
from tests.support.shell import imgcli, modules_of_each

HOUSE = Path(__file__).resolve().parents[1]
PACKAGE = HOUSE / "imgcli"
GROUND = {
    *("errors", "config", "text", "progress", "records", "reading", "documents", "run_documents"),
    *("files", "aside", "staging", "batch", "runs", "latest_run", "run_lookup", "ledger"),
    *("image_types", "provenance"),
    *("folder_names", "tree_readings", "class_folders", "compute"),
    *(
        "label_studio",
        "photo_sizes",
        "parquet_tables",
        "tables",
        "photo_files",
        "locations",
        "http",
        "remote",
    ),
}
TORCHLESS = {
    *("collect", "photos", "evaluation", "report", "review"),
    *("errors", "records", "runs", "latest_run", "run_lookup"),
}
ROOMS = {
    *("collect", "photos", "models", "training", "evaluation"),
    *("report", "tracking", "export", "review"),
}
ALLOWED = {
    "errors": {"text"},
    "text": set(),
    "progress": {"text"},
    "image_types": set(),
    "http": {"http", "errors", "progress", "text"},
    "remote": {"remote", "errors", "http", "progress", "text"},
    "compute": {"compute", "errors", "progress", "reading", "text"},
    "config": {"errors"},
    "records": {"config", "locations"},
    "locations": {"reading", "remote"},
    "reading": {"errors", "remote", "text"},
    "documents": {"reading"},
    "run_documents": {"config", "documents", "records"},
    "files": {"errors", "progress", "text", "reading", "documents"},
    "aside": {"files", "text"},
    "staging": {"aside", "documents", "errors", "progress", "files", "text"},
    "batch": {"errors", "reading", "files"},
    "provenance": {"batch", "documents", "files", "reading"},
    "folder_names": {"errors", "image_types", "text"},
    "tree_readings": {"folder_names"},
    "class_folders": {"errors", "folder_names", "text", "tree_readings"},
    "photo_sizes": set(),
    "parquet_tables": {"errors", "reading", "remote"},
    "label_studio": set(),
    "tables": {"errors", "image_types", "label_studio", "parquet_tables", "reading", "records"},
    "photo_files": {"errors", "folder_names", "image_types", "tables", "text"},
    "runs": GROUND - {"latest_run", "run_lookup", "ledger"},
    "latest_run": GROUND - {"run_lookup", "ledger"},
    "run_lookup": GROUND - {"ledger"},
    "ledger": GROUND,
    **{room: GROUND | {room} for room in ROOMS},
    "training": GROUND | {"training", "photos", "models", "tracking"},
    "export": GROUND | {"export", "photos", "models", "training", "evaluation"},
    "review": GROUND | {"review", "photos", "evaluation", "report"},
    "commands": GROUND | ROOMS | {"commands"},
    "cli": GROUND | {"commands", "report", "cli"},
}
BESIDE = {
    ("cli/demo.py", "collect"): "the demo's photos come with scikit-learn, not with a command"
}
# Calls that decode wrongly, unpack unsafely or run what they read; see the rules in the README.
FORBIDDEN = {"extractall", "verify"}
FORBIDDEN_NAMES = {"LOAD_TRUNCATED_IMAGES", "pickle", "allow_pickle=True"}


@cache
def modules() -> list[tuple[str, Path, ast.Module]]:
    return [
        (path.relative_to(PACKAGE).with_suffix("").parts[0], path, ast.parse(path.read_bytes()))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


@cache
def nodes(tree: ast.Module) -> list[ast.AST]:
    """All there is in a module; to walk it takes longer than to read it."""
    return [*ast.walk(tree)]


@cache
def imported(tree: ast.Module) -> list[str]:
    return [*_imported(tree)]


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in nodes(tree):
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
            known = target in GROUND | ROOMS | {"commands", "cli"}
            if top == "imgcli" and known and room in ALLOWED:
                beside = (path.relative_to(PACKAGE).as_posix(), target) in BESIDE
                if target not in ALLOWED[room] and not beside:
                    wrong.append(f"{path.relative_to(HOUSE)} imports {name}")
    assert wrong == []


def test_commands_return_results_and_print_none() -> None:
    for room, path, tree in modules():
        if room == "commands":
            assert "typer" not in {name.partition(".")[0] for name in imported(tree)}, path
            called = {name_of(n.func) for n in nodes(tree) if isinstance(n, ast.Call)}
            assert ("", "print") not in called, path


def test_evaluation_and_report_know_no_torch() -> None:
    for room, path, tree in modules():
        if room in TORCHLESS:
            heavy = {name.partition(".")[0] for name in imported(tree)} & {"torch", "timm"}
            assert not heavy, path


def test_nothing_unsafe_is_called() -> None:
    for _, path, tree in modules():
        for node in nodes(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in FORBIDDEN, f"{path}:{node.lineno}"
            if isinstance(node, ast.Name | ast.Attribute):
                name = node.id if isinstance(node, ast.Name) else node.attr
                assert name not in FORBIDDEN_NAMES, f"{path}:{node.lineno}"
            if isinstance(node, ast.Import | ast.ImportFrom):  # one may read them, calling nothing
                whence = [getattr(node, "module", None), *(alias.name for alias in node.names)]
                assert "pickle" not in whence or (
                    whence == ["pickle", "_Unpickler"] and path.name == "inert.py"
                ), f"{path}:{node.lineno}"
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant) and node.value.value is False


# Where a clock may be read, and why there: no result follows from it.
CLOCKS = {
    "collect/scrape/host_state.py": "pauses that a host has asked for",
    "collect/scrape/host_queue.py": "patience with a host that does not answer",
    "tracking/session.py": "times of points and images per second, and how long trackers may take",
    "tracking/tensorboard.py": "times of its events",
    "tracking/mlflow.py": "times of final figures",
    "compute/helping.py": "how long processes wait for one another",
    "compute/leading.py": "as in compute/helping.py",
    "compute/team.py": "as in compute/helping.py",
    "files.py": "how old a temporary file of another machine is, before it is removed",
    "http/robots.py": "how long the robots.txt of a host holds",
    "http/host.py": "pauses between requests",
    "training/benchmark.py": "`imgcli bench`, which measures",
    "training/peak.py": "as in training/benchmark.py",
    "compute/load.py": "as in training/benchmark.py",
    "training/pipeline.py": "how long a training took, for people",
    "training/cluster_fits.py": "how long a cluster may take to notice that a node is gone",
    "training/choosing.py": "choose --minutes: what is begun; what it finds is the same",
    "training/tuning/search.py": "--timeout: no new trial begins; those that began are the same",
    "photos/hashing.py": "a file changed a moment ago is hashed again, not remembered",
    "photos/split.py": "as in photos/hashing.py",
    "photos/row_cache.py": "how often the cache is synced to the disk",
}
CLOCK_NAMES = {f"{clock}{unit}" for clock in ("perf_counter", "monotonic", "process_time", "time")
               for unit in ("", "_ns")}  # fmt: skip


def reads_a_clock(tree: ast.Module) -> bool:
    for node in nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            if CLOCK_NAMES & {alias.name for alias in node.names}:
                return True
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "time" and node.attr in CLOCK_NAMES:
                return True
    return False


def test_no_result_is_decided_by_a_clock() -> None:
    found = {path.relative_to(HOUSE / "imgcli").as_posix() for _, path, tree in modules()
             if reads_a_clock(tree)}  # fmt: skip
    assert found == CLOCKS.keys()


# Where files may be written at all, and why there. A file that is written beside these three goes
# through one of them: `with files.atomic_file(path) as temporary`, `write_json`, a `Batch`, …
WRITERS = {
    "latest_run.py": "the link runs/latest, made beside it and renamed over it",
    "files.py": "the atomic writer",
    "aside.py": "renaming what is not to be lost",
    "staging.py": "folders written whole, by renaming",
    "batch.py": "many small files made durable together, and lines that are only added",
    "runs.py": "a run's folder, made beside the others and renamed",
}
# What else writes by itself: the calls it makes, each with the reason that no writer could do it.
EXCEPTIONS = {
    "collect/ingest.py": ({"replace"}, "a placed photo is withdrawn whole, by renaming it"),
    "photos/quarantine.py": ({"rename"}, "photos are moved, and back, by a journal written first"),
    "photos/manifest.py": ({"copyfile"}, "photos of any size into a staged folder, renamed whole"),
    "photos/merge.py": ({"copyfile"}, "photos of any size into a staged folder, renamed whole"),
    "cli/main.py": ({"open"}, "standard streams that were closed, by their numbers"),
    "photos/row_cache_files.py": (
        {"FileIO"},
        "a memory-mapped cache whose index says what is whole",
    ),
}
OS_WRITERS = {"rename", "renames", "replace", "truncate", "sendfile"}
SHUTIL_WRITERS = {"copy", "copy2", "copyfile", "copyfileobj", "copytree", "move"}


def name_of(function: ast.expr) -> tuple[str, str]:
    """What is called, as ("os", "rename"), ("", "open"), ("path", "write_text")."""
    if isinstance(function, ast.Attribute):
        value = function.value
        return (value.id if isinstance(value, ast.Name) else "?"), function.attr
    return "", function.id if isinstance(function, ast.Name) else "?"


def mode_of(call: ast.Call, position: int) -> str:
    """The mode that a file is opened in; "?" where it is computed."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    given += call.args[position : position + 1]
    if not given:
        return "r"
    return str(given[0].value) if isinstance(given[0], ast.Constant) else "?"


def writes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The calls that write to, rename or copy a file, but for a temporary of `atomic_file`."""
    temporary = {
        item.optional_vars.id
        for node in nodes(tree)
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.context_expr, ast.Call)
        and name_of(item.context_expr.func)[1] == "atomic_file"
        and isinstance(item.optional_vars, ast.Name)
    }
    for call in (node for node in nodes(tree) if isinstance(node, ast.Call)):
        owner, name = name_of(call.func)
        first = call.args[0] if call.args else None
        if owner in temporary or (isinstance(first, ast.Name) and first.id in temporary):
            continue
        opened = (owner, name) in (("", "open"), ("io", "open"), ("", "FileIO"), ("io", "FileIO"))
        if opened and set(mode_of(call, 1)) & set("wax+?"):
            yield call.lineno, name
        elif name == "open" and owner not in ("", "io", "os") and isinstance(first, ast.Constant):
            if set(str(first.value)) & set("wax+") and len(str(first.value)) < 4:
                yield call.lineno, "open"  # path.open("w")
        elif (owner == "os" and name in OS_WRITERS) or (
            owner == "shutil" and name in SHUTIL_WRITERS
        ):
            yield call.lineno, name
        elif name in ("write_text", "write_bytes", "touch"):
            yield call.lineno, name
        elif name in ("rename", "replace") and len(call.args) == 1 and not call.keywords:
            yield call.lineno, name  # of a path; a string's replace has two


def test_nothing_is_written_beside_the_writers() -> None:
    unused = {path: set(calls) for path, (calls, _) in EXCEPTIONS.items()}
    for _, path, tree in modules():
        relative = path.relative_to(PACKAGE).as_posix()
        if relative in WRITERS:
            continue
        allowed, _ = EXCEPTIONS.get(relative, (set(), ""))
        found = list(writes(tree))
        wrong = [(line, name) for line, name in found if name not in allowed]
        assert not wrong, f"{relative} writes by itself: {wrong}; see imgcli/files.py"
        unused.get(relative, set()).difference_update(name for _, name in found)
    assert not any(unused.values()), f"exceptions that nothing needs: {unused}"


@pytest.mark.parametrize(
    "code",
    [
        "open(path, 'w')",
        "open(path, mode='ab')",
        "open(path, mode)",
        "path.open('w')",
        "path.write_bytes(data)",
        "path.rename(other)",
        "os.replace(a, b)",
        "shutil.copy2(a, b)",
        "FileIO(path, 'r+')",
        "with open(temporary, 'w') as file: pass",
    ],
)
def test_a_write_of_ones_own_is_found(code: str) -> None:
    assert list(writes(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "open(path)",
        "open(path, 'rb')",
        "os.open(path, flags)",
        "Image.open(file)",
        "text.replace('a', 'b')",
        "with files.atomic_file(path) as temporary, open(temporary, 'wb') as file: pass",
        "with atomic_file(path) as temporary:\n    temporary.write_bytes(data)",
    ],
)
def test_reading_and_the_atomic_writer_are_no_write_of_ones_own(code: str) -> None:
    assert not list(writes(ast.parse(code)))


NETWORK = {"requests", "urllib3", "http", "socket", "httpx", "aiohttp"}
ASKS = {
    "models/hub.py": {"socket"},  # whether the hub can be reached, before it is tried
    "compute/interface.py": {"socket"},  # by which interface another host is reached
    "review/server.py": {"socket"},  # that this machine's own browser is answered through
    "compute/addresses.py": {"socket"},  # whether a cluster answers where --cluster says
}


def test_only_the_polite_client_speaks_to_the_network() -> None:
    for _, path, tree in modules():
        if path.is_relative_to(PACKAGE / "http"):
            continue
        used = {name.partition(".")[0] for name in imported(tree)} & NETWORK
        assert not used - ASKS.get(path.relative_to(PACKAGE).as_posix(), set()), path
        for call in (node for node in nodes(tree) if isinstance(node, ast.Call)):
            assert name_of(call.func)[1] not in ("urlopen", "urlretrieve"), f"{path}:{call.lineno}"


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


# What a command may not import, beyond what loads it: each costs up to seconds at every start.
TORCH = {"torch", "torchvision", "timm", "sympy"}
MODELS = {"torchvision", "timm", "sympy"}  # of a network that is imgcli's own
FITTING = {"sklearn", "scipy.stats"}
DRAWING = {"matplotlib"}
EXTRAS = {"optuna", "pyarrow", "pandas", "onnx", "onnxruntime", "tensorboard", "mlflow", "wandb"}
EXTRAS |= {"s3fs", "gcsfs", "aiobotocore", "ray"}  # fsspec comes with torch
# What these import themselves where it is installed.
THEIRS = {"sklearn": {"pyarrow", "pandas"}, "timm.optim": {"wandb", "pandas"}}
IMPORTS_NOT: dict[str, set[str]] = {
    "--help": {*TORCH, "scipy", "sklearn", *DRAWING, "numpy", "PIL"},
    "train --help": {*TORCH, "scipy", "sklearn", *DRAWING, "numpy", "PIL"},
    "choose --help": {*TORCH, "scipy", "sklearn", *DRAWING, "numpy", "PIL"},
    "explain --help": {*TORCH, "scipy", "sklearn", *DRAWING, "numpy", "PIL"},
    "import --help": {*TORCH, "scipy", "sklearn", *DRAWING, "numpy", "PIL"},
    "export --help": {*TORCH, "scipy", "sklearn", *DRAWING, "numpy", "PIL", "onnx", "onnxruntime"},
    "guide training": {*TORCH, "scipy", "sklearn", *DRAWING, "numpy", "PIL"},
    "archs resnet": {*TORCH, "scipy", "sklearn", *DRAWING, "PIL"},
    "cache": {*TORCH, "scipy", "sklearn", *DRAWING},
    "import raw --out copy": {*TORCH, "scipy", "sklearn", *DRAWING},
    "check raw": {*TORCH, "scipy", "sklearn", *DRAWING},
    "split raw --out parts": {*TORCH, "scipy", "sklearn", *DRAWING},
    "merge red+blue=both raw --out fewer": {*TORCH, "scipy", *DRAWING},
    "evaluate": {*TORCH, *FITTING},  # again
    "evaluate --folds 3": {*TORCH, *FITTING},  # again
    "suggest-merges": {*TORCH, "sklearn", *DRAWING},
    "compare runs/first runs/second": {*TORCH, "sklearn"},
    "report": TORCH,
    "runs": {*TORCH, "sklearn", *DRAWING},
    "show": {*TORCH, "sklearn", *DRAWING},
    "evaluate --folds 3 --format csv": {*TORCH, *FITTING},
    "predict raw/red/00.png": {*MODELS, *FITTING, *DRAWING},
    "archs describe 8C3-P2": {"torchvision", "timm", "scipy", *FITTING, *DRAWING},
    "train --arch 8C3-P2 --epochs 1 --out more": {*FITTING, "scipy"},
}
# Those that draw, and therefore import matplotlib.
DRAWN = (
    "evaluate",
    "evaluate --folds 3",
    "evaluate --folds 3 --format csv",
    "compare runs/first runs/second",
    "report",
)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which photos were split, and two runs trained and evaluated."""
    folder = tmp_path_factory.mktemp("house")
    write_classes(folder / "raw", per_class=12)
    commands = (
        "split raw --ratio 0.75",
        "train --arch 8C3-P2 --image-size 16 --epochs 1 --lr 0.01",
        "evaluate",
        "evaluate --folds 3",
    )
    with contextlib.chdir(folder):
        for words in commands:
            assert imgcli(*words.split()) == 0
    (first,) = (path for path in (folder / "runs").iterdir() if path.name[0] == "2")
    for name in ("first", "second"):
        shutil.copytree(first, folder / "runs" / name)
    return folder


@pytest.fixture(scope="module")
def modules_in(worked: Path) -> dict[str, set[str]]:
    """The modules of each command, typed one after another in that folder."""
    with_torch = [words for words, without in IMPORTS_NOT.items() if "torch" not in without]
    drawing = [words for words in DRAWN if words not in with_torch]
    others = [words for words in IMPORTS_NOT if words not in (*with_torch, *drawing)]
    assert len(with_torch) == 3 and drawing == [*DRAWN]
    with contextlib.chdir(worked):
        return {
            **modules_of_each(others),
            **modules_of_each(drawing, "matplotlib.figure", "matplotlib.backends.backend_agg"),
            **modules_of_each(with_torch, "torch"),
        }


@pytest.mark.parametrize("words", IMPORTS_NOT)
def test_a_command_imports_only_what_it_uses(words: str, modules_in: dict[str, set[str]]) -> None:
    found = modules_in[words]
    assert "imgcli.cli.main" in found
    theirs = {name for library in THEIRS.keys() & found for name in THEIRS[library]}
    assert not found & (IMPORTS_NOT[words] | EXTRAS - theirs)


# Names with an underscore in front that tests may use, and whose they are.
NOT_OURS = {
    "_load_from_bytes": "torch, which has storages in a bare pickle read by it",
    "_exit": "os, which ends a child without what Python does at an exit",
    "_replace": "NamedTuple",
    "_repr_html_": "notebooks ask for it",
    "_unscaled_dash_pattern": "matplotlib has no other word for how a line is dashed",
    **dict.fromkeys(
        """_C _dispatch_has_kernel_for_dispatch_key _ensureCUDADeviceGuardSet _input_metadata
        _local_scalar_dense _pin_memory _to_copy _unique2 _version""".split(),
        "torch, a device of which tests/support/pretended stands in for",
    ),
}

PRIVATE = re.compile(r"(?:.*\.)?_[^_]")


def private_names(tree: ast.Module) -> Iterator[str]:
    """The private names that are imported, read, or replaced by their name in a string."""
    for node in nodes(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imgcli"):
            yield from (alias.name for alias in node.names if PRIVATE.match(alias.name))
        elif isinstance(node, ast.Attribute) and PRIVATE.match(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield node.attr
        elif isinstance(node, ast.Call) and name_of(node.func)[1] in ("setattr", "getattr"):
            for word in node.args[:2]:
                if isinstance(word, ast.Constant) and PRIVATE.match(str(word.value)):
                    yield str(word.value)


def test_tests_share_what_is_in_support_and_use_public_names() -> None:
    """No test imports another test module, not even in a program that it runs."""
    for path in sorted((HOUSE / "tests").rglob("*.py")):
        if "benchmarks" in path.parts:
            continue
        text, own = path.read_text("utf-8"), path.relative_to(HOUSE).with_suffix("")
        others = set(re.findall(r"(?:from|import) (tests\.\S+)", text)) - {".".join(own.parts)}
        assert not [name for name in others if not name.startswith("tests.support")], path
        assert not set(private_names(ast.parse(text))) - NOT_OURS.keys(), path


@pytest.mark.parametrize(
    "code",
    [
        "from imgcli.x import _y",
        "module._y",
        "monkeypatch.setattr(module, '_y', 1)",
        "monkeypatch.setattr('imgcli.x._y', 1)",
    ],
)
def test_a_private_name_is_found(code: str) -> None:
    assert list(private_names(ast.parse(code)))
