# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of the rooms is that of the code, and no import in it runs up."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "docs" / "draw_rooms.py"

PYPROJECT = """
[tool.importlinter]
root_packages = ["house"]

[[tool.importlinter.contracts]]
name = "all"
type = "layers"
containers = ["house"]
layers = ["attic", "left | right", "files", "ground"]

[[tool.importlinter.contracts]]
name = "inside"
type = "layers"
containers = ["house.attic"]
layers = ["top", "bottom"]
"""


@pytest.fixture(autouse=True)
def tools(needs):
    needs("dev")


def draw(project, *options):
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--project", str(project), *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def house(tmp_path):
    """A package of four rooms; calling it adds an import."""
    package = tmp_path / "house"
    for name in ("", "attic", "left", "right", "files", "ground"):
        (package / name).mkdir()
        (package / name / "__init__.py").write_text('"""A room."""\n')
    for name in ("top", "bottom"):
        (package / "attic" / f"{name}.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "docs").mkdir()

    def add(importer, imported):
        path = package.joinpath(*importer.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        path.write_text(f"{path.read_text()}import house.{imported}\n")
        return tmp_path

    return add


def test_the_committed_drawing_is_that_of_the_code():
    done = draw(ROOT, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("importer", "imported"),
    [("ground", "files"), ("left", "attic"), ("left", "right"), ("attic.bottom", "attic.top")],
)
def test_an_import_that_runs_up_or_sideways_is_named(house, importer, imported):
    done = draw(house(importer, imported))
    assert done.returncode == 1
    assert f"house.{importer} imports house.{imported}, which is not below it" in done.stdout


def test_a_drawing_that_lacks_an_arrow_is_out_of_date(house):
    project = house("attic", "left")
    assert draw(project).returncode == 0
    assert draw(project, "--check").returncode == 0
    house("attic", "right")
    done = draw(project, "--check")
    assert done.returncode == 1
    assert "out of date" in done.stdout
