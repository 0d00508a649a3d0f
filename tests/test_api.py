"""`import imgcli`: the commands as functions, each imported at its first use."""

import subprocess
import sys
from importlib import import_module
from inspect import Parameter, signature

import pytest

import imgcli
from imgcli.cli.command_group import COMMANDS


@pytest.mark.parametrize("name", imgcli.__all__)
def test_each_function_is_documented_and_typed(name: str) -> None:
    function = getattr(imgcli, name)
    module = "compute.cluster" if name == "on_cluster" else f"commands.{name}"
    assert function is getattr(import_module(f"imgcli.{module}"), name)
    assert name in dir(imgcli) and function.__doc__
    found = signature(function)
    assert all(p.annotation is not Parameter.empty for p in found.parameters.values())
    assert found.return_annotation is not Parameter.empty


def test_the_functions_are_those_of_the_commands() -> None:
    names = {
        "report": "write_report",
        "review": "review_photos",
        "next": "next_photos",
        "label": "label_photos",
        "export": "export_run",
        "import": "import_photos",
        "runs": "list_runs",
    }
    commands = {names.get(name, name.replace("-", "_")) for name in COMMANDS}
    commands -= {"demo", "guide"}  # for the terminal alone
    assert set(imgcli.__all__) == commands | {
        "describe_arch",
        "load_run",
        "on_cluster",
        "prune_runs",
        "together",
    }


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'imgcli' has no attribute 'nothing'"):
        _ = imgcli.nothing


def test_importing_imgcli_imports_nothing_else() -> None:
    code = (
        "import sys, typing, importlib\nbefore = {*sys.modules}\nimport imgcli\ndir(imgcli)\n"
        "assert {*sys.modules} - before == {'imgcli'}, {*sys.modules} - before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_that_draws_and_the_function_that_reports_have_their_own_names() -> None:
    import imgcli.report.plots

    assert imgcli.report.plots and callable(imgcli.write_report)
    assert "report" not in imgcli.__all__
