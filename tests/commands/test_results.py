"""What all functions of the Python API have in common."""

import subprocess
import sys

import pytest

LIGHT = ["cache", "check", "credits", "import_photos", "merge", "restore", "scrape", "split"]


@pytest.mark.parametrize("name", LIGHT)
def test_importing_a_function_imports_no_heavy_package(name: str) -> None:
    code = (
        f"import sys, imgcli.commands.{name}\n"
        "heavy = {'torch', 'numpy', 'PIL', 'requests', 'jinja2', 'typer'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
