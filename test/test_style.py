# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rules about the code itself."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from setuptools import find_packages

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SOURCES = sorted((ROOT / "magma_ros").rglob("*.py"))


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rooms_import_only_what_they_may(needs):
    needs("dev")
    run(str(BIN / "lint-imports"))


def test_code_passes_the_linter_and_is_formatted(needs):
    needs("dev")
    run(str(BIN / "ruff"), "check", ".")
    run(str(BIN / "ruff"), "format", "--check", ".")


@pytest.mark.timeout(600)
def test_types_hold(needs):
    needs("dev")
    run(str(BIN / "mypy"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_names_its_licence(path):
    head = path.read_text().splitlines()[:2]
    assert head == [
        "# Copyright 2026 The magma_ros authors",
        "# SPDX-License-Identifier: Apache-2.0",
    ]


def test_package_files_agree_on_name_version_and_licence():
    package = ET.parse(ROOT / "package.xml").getroot()
    setup = (ROOT / "setup.py").read_text()
    version = package.findtext("version")
    assert f'version="{version}"' in setup
    assert f'license="{package.findtext("license")}"' in setup
    assert f'__version__ = "{version}"' in (ROOT / "magma_ros/__init__.py").read_text()
    assert package.findtext("export/build_type") == "ament_python"


def test_linter_rules_stay_strict():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert config["tool"]["mypy"]["strict"] is True


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short_enough_to_read(path):
    assert len(path.read_text().splitlines()) <= 450


def test_every_folder_of_code_is_a_package_that_gets_installed():
    folders = {path.parent for path in SOURCES}
    packages = find_packages(str(ROOT), include=["magma_ros", "magma_ros.*"])
    installed = {ROOT.joinpath(*package.split(".")) for package in packages}
    assert folders == installed


def test_no_source_file_is_ignored_by_git():
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard"]
    listed = subprocess.run(
        [*command, "magma_ros/*.py", "test/*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not listed.stdout


def test_how_many_examples_are_tried_is_the_profiles_to_say():
    own = re.compile(r"^\s*(@.*|.* = )\bsettings\(", re.MULTILINE)
    assert [p for p in (ROOT / "test").rglob("test_*.py") if own.search(p.read_text())] == []


@pytest.mark.parametrize("bundle", sorted((ROOT / "models").glob("*/bundle.yaml")))
def test_the_command_of_a_shipped_bundle_names_no_folder_of_one_machine(bundle):
    command = yaml.safe_load(bundle.read_text())["provenance"]["command"]
    assert not [word for word in command.split() if word.startswith(("/", "~"))]
