# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What installs the package: versions that work, and tests that run with what there is."""

import os
import re
import runpy
import subprocess
import sys
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from magma_ros.wheels import Forecast, forecast

ROOT = Path(__file__).resolve().parent.parent
WITHOUT = """
import sys
from importlib.machinery import PathFinder

import pytest

hidden, found = sys.argv.pop(1).split(","), PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: (
    None if name.partition(".")[0] in hidden else found(name, *rest)
)
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.fixture
def setup(monkeypatch):
    """The arguments that ``setup.py`` gives to setuptools."""
    import setuptools

    kept = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: kept.update(arguments))
    runpy.run_path("setup.py")
    return kept


def pins(file: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (ROOT / file).read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            (version,) = (specifier.version for specifier in pin.specifier)
            found.setdefault(pin.name.lower(), []).append(version)
    return found


def test_every_lower_bound_is_one_that_make_lowest_tries(setup):
    oldest = pins("constraints-lowest.txt")
    for line in setup["install_requires"] + setup["extras_require"]["embedded"]:
        requirement = Requirement(line)
        (bound,) = requirement.specifier
        assert bound.operator == ">=", line
        tried = min(oldest.pop(requirement.name.lower()), key=Version)
        assert tried == bound.version or tried.startswith(bound.version + "."), line
    assert oldest == {}


def test_newest_versions_satisfy_the_bounds(setup):
    newest = pins("constraints.txt")
    for line in chain(setup["install_requires"], *setup["extras_require"].values()):
        requirement = Requirement(line)
        for version in newest.get(requirement.name.lower(), []):
            assert version in requirement.specifier, line


def test_rich_is_as_new_as_the_command_line_library_demands(setup):
    """cyclopts 4 refuses rich before 13.6."""
    (rich,) = (Requirement(r) for r in setup["install_requires"] if r.startswith("rich"))
    assert "13.5" not in rich.specifier
    assert "13.7.1" in rich.specifier  # Ubuntu 24.04's


def test_every_ros_package_that_nodes_import_is_a_dependency():
    package = ET.parse(ROOT / "package.xml").getroot()
    known = {element.text for element in package.findall("exec_depend")} - {"tf2_ros"}
    known |= {"tf2_ros"} if "tf2_ros_py" in known else set()  # Python's part has its own package
    modules = {
        name
        for path in (ROOT / "magma_ros/nodes").glob("*.py")
        for name in re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
        if name == "rclpy" or name.startswith("tf2") or name.endswith(("_msgs", "_srvs"))
    }
    assert modules <= known | {"rcl_interfaces"}


def test_colcon_finds_that_pytest_runs_the_tests(setup):
    tests = [Requirement(line).name for line in setup["extras_require"]["test"]]
    assert tests == ["pytest"]


def run_tests_without(modules: str, *arguments: str) -> str:
    command = [sys.executable, "-c", WITHOUT, modules, "-q", *arguments]
    # colcon gives its own options by PYTEST_ADDOPTS, this very file perhaps among them.
    no_plugins = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        command, cwd=ROOT, env=no_plugins, capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 5}, done.stdout + done.stderr
    return done.stdout


def test_tests_without_their_extra_are_skipped_by_its_name(needs):
    needs("core")
    train = "torch,onnx,pyarrow,transformers,safetensors"
    report = run_tests_without(
        f"{train},pybullet,gymnasium,hypothesis,pytest_benchmark",
        *("test/models", "test/policy/test_preprocess.py", "test/policy/test_bundle.py"),
        *("test/motion/test_plan.py", "test/sim/test_envs.py", "test/sim/test_belt.py"),
        "test/gate/test_gates.py",
    )
    assert "test_act.py:0: needs torch: pip install '.[train]'" in report
    assert "test_bundle.py:0: needs onnx: pip install '.[train]'" in report
    assert "test_envs.py:0: needs gymnasium: pip install '.[sim]'" in report
    assert "needs pybullet: pip install '.[sim]'" in report
    assert "needs pytest_benchmark: pip install '.[dev]'" in report
    assert "needs hypothesis: pip install '.[dev]'" in report
    assert "passed" in report
    assert "failed" not in report
    assert "error" not in report.lower()


def test_a_test_that_fails_for_another_reason_still_fails(tmp_path):
    conftest = (ROOT / "test/conftest.py").read_text()
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_it.py").write_text(
        "def test_wrong_name():\n    import magma_ros.nope\n\n"
        "def test_wrong_figure():\n    assert 1 == 2\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env=os.environ | {"PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert "2 failed" in done.stdout


def test_folders_that_cannot_begin_without_an_extra_are_left_out_by_its_name(needs):
    needs("core")
    report = run_tests_without("cyclonedds,rosbags,mcap", "test/perception", "-v")
    assert "left out: test/embedded needs cyclonedds: pip install '.[embedded]'" in report
    assert "left out: test/graph needs" in report
    assert "passed" in report


def test_where_no_skip_is_allowed_a_skip_is_a_failure(needs):
    needs("core")
    with pytest.raises(AssertionError, match="needs onnx"):
        run_tests_without("onnx", "test/policy/test_bundle.py", "--no-skips")


@pytest.mark.parametrize("version", [(3, 12), (3, 13)])
def test_a_long_compilation_is_announced_before_it_begins(version):
    coming = forecast(version, compiler=True, headers=True)
    assert coming.possible
    assert "15 to 20 minutes" in coming.sentence
    assert "make demo PYTHON=python3.11" in coming.sentence


@pytest.mark.parametrize(
    ("version", "compiler", "headers", "word"),
    [
        ((3, 10), True, True, "needs Python 3.11"),
        ((3, 12), False, True, "needs g++: install"),
        ((3, 13), False, False, "needs g++ and python3-dev: install"),
        ((3, 14), True, True, "cyclonedds has no wheel for Python 3.14"),
    ],
)
def test_what_cannot_be_installed_is_refused_before_pip_tries(version, compiler, headers, word):
    coming = forecast(version, compiler=compiler, headers=headers)
    assert not coming.possible
    assert word in coming.sentence


def test_nothing_is_announced_where_wheels_serve():
    assert forecast((3, 11), compiler=False, headers=False) == Forecast(possible=True)


def test_the_announcement_needs_no_installed_package():
    command = [sys.executable, "-S", "-m", "magma_ros.wheels"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_make_demo_announces_before_it_installs():
    dry = subprocess.run(
        ["make", "--dry-run", "demo", "VENV=/nowhere"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert -1 < dry.index("-m magma_ros.wheels") < dry.index("pip install")
    assert "setting up /nowhere with" in dry


def test_every_test_is_in_one_of_the_two_parts_that_the_suite_runs(request):
    (conftest,) = (
        plugin
        for _, plugin in request.config.pluginmanager.list_name_plugin()
        if getattr(plugin, "__file__", None) == str(ROOT / "test" / "conftest.py")
    )
    assert all((ROOT / "test" / path).exists() for path in conftest.ALONE)
    for path in (ROOT / "test").rglob("test_*.py"):
        relative = path.relative_to(ROOT / "test")
        parts = [part for part in ("together", "alone") if reached(conftest, relative, part)]
        assert len(parts) == 1, relative


def reached(conftest, path: Path, part: str) -> bool:
    """Whether pytest comes to a file, folder by folder."""
    return all(conftest.in_part(each, part) for each in [*path.parents, path] if each != Path())


PYTEST = """#!/bin/sh
case "$*" in
    *--part=together*) exit {together} ;;
    *--part=alone*) exit {alone} ;;
esac
exit 99
"""


@pytest.mark.parametrize(
    ("together", "alone", "whole"),
    [(0, 0, 0), (1, 0, 1), (0, 1, 1), (2, 1, 2), (5, 0, 0), (0, 5, 0), (5, 1, 1), (5, 5, 5)],
)
def test_a_failure_in_either_part_fails_the_suite_and_so_does_running_nothing(
    tmp_path, together, alone, whole
):
    python = tmp_path / "python"
    python.write_text(PYTEST.format(together=together, alone=alone))
    python.chmod(0o755)
    suite = [str(ROOT / ".ci" / "suite"), "--no-skips"]
    done = subprocess.run(suite, env=os.environ | {"PYTHON": str(python)}, check=False)
    assert done.returncode == whole
