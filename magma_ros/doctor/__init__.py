# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Examines the machine: what works, what is missing, and the one command that fixes it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from magma_ros.doctor import inference, ros
from magma_ros.doctor.finding import Finding
from magma_ros.machine import processor_name
from magma_ros.share import find_bundle, share_directory
from magma_ros.types import MagmaError
from magma_ros.wheels import here

if TYPE_CHECKING:
    from magma_ros.policy.report import Check


@dataclass(frozen=True, slots=True)
class Extra:
    """An optional set of dependencies.

    Attributes:
        modules: What it brings.
        purpose: What it is for.
    """

    modules: tuple[str, ...]
    purpose: str

    @property
    def missing(self) -> list[str]:
        """Those of its modules that are not installed."""
        return [name for name in self.modules if find_spec(name) is None]


EXTRAS = {
    "console": Extra(("nicegui", "textual", "websockets"), "the operator's console"),
    "embedded": Extra(("cyclonedds", "mcap", "rosbags"), "ROS 2 without a ROS installation"),
    "record": Extra(("mcap", "rosbags"), "recording, and looking after recordings"),
    "kinematics": Extra(("pinocchio",), "bounds of the tool of a robot commanded by joints"),
    "lerobot": Extra(("av", "mcap", "pyarrow", "rosbags"), "episodes as LeRobot data sets"),
    "perception": Extra(("open3d",), "obstacles and marks from depth"),
    "serve": Extra(("ray", "msgpack", "websockets"), "serving and evaluating on several computers"),
    "remote": Extra(("msgpack", "websockets"), "policies that run elsewhere, and serving them"),
    "data": Extra(("pyarrow",), "looking into demonstrations"),
    "sim": Extra(("pybullet", "gymnasium", "matplotlib"), "the simulated robot, evaluation"),
    "metaworld": Extra(("metaworld", "mujoco", "matplotlib"), "the benchmark Meta-World"),
    "create": Extra(("onnx",), "bundles of policies trained elsewhere"),
    "train": Extra(("torch", "transformers", "onnx", "pyarrow"), "training and export"),
}
"""Every extra by its name."""

CORE = (
    "cyclopts",
    "numpy",
    "onnxruntime",
    "cv2",
    "pydantic",
    "yaml",
    "rich",
    "ruckig",
    "scipy",
    "simplejpeg",
    "tokenizers",
)

OLDEST = {"numpy": (1, 26), "onnxruntime": (1, 23), "pydantic": (2, 7)}
"""Oldest versions that work, of packages that a system may have in older ones."""


def examine() -> list[Finding]:
    """Look at everything; never raises."""
    installed = _ros()
    return [
        _python(),
        _environment(Path(sys.prefix), Path(sys.base_prefix)),
        _core(),
        *(inference.examine() if find_spec("onnxruntime") is not None else []),
        *(_extra(extra) for extra in EXTRAS),
        installed,
        *ros.examine(os.environ),
        *([_attempt("network", _network, "ip link set lo up")] if installed.ok else []),
        _attempt("shared files", lambda: str(share_directory()), "pip install --force-reinstall ."),
        _attempt("bundle magma-nano", _bundle, "reinstall the package, or magma train"),
        _processor(),
        _stress_ng(),
    ]


def require(*extras: str) -> None:
    """Make sure that what ``extras`` bring is installed.

    Raises:
        MagmaError: It is not; the sentence holds the command that installs it.
    """
    needed = [e for e in extras if e != "embedded" or find_spec("rclpy") is None]
    missing = [name for extra in needed for name in EXTRAS[extra].missing]
    if missing:
        sentence = f"{', '.join(missing)} not installed; run pip install '.[{','.join(needed)}]'"
        if "pybullet" in missing and (coming := here().sentence):
            sentence += f". {coming}"
        raise MagmaError(sentence)


def _python() -> Finding:
    version = platform.python_version()
    fix = "install Python 3.11 or newer"
    ok = sys.version_info >= (3, 11)
    return Finding("python", ok, version, "" if ok else fix)


def _environment(prefix: Path, base: Path) -> Finding:
    """Whether pip may install here: systems that follow PEP 668 refuse outside a virtual one."""
    if prefix != base:
        return Finding("environment", ok=True, detail=f"virtual environment {prefix}")
    if not Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").is_file():
        return Finding("environment", ok=True, detail="none; pip may install here")
    return Finding(
        "environment",
        ok=False,
        detail="the system's Python, into which pip refuses to install",
        fix="python3 -m venv --system-site-packages venv && . venv/bin/activate",
        optional=True,
    )


def _core() -> Finding:
    missing = [name for name in CORE if find_spec(name) is None]
    if missing:
        return Finding(
            "core", ok=False, detail=f"missing: {', '.join(missing)}", fix="pip install ."
        )
    if old := outdated():
        named = ", ".join(f"{name} {version}" for name, version in old.items())
        fix = "in a virtual environment: pip install ."
        return Finding("core", ok=False, detail=f"too old: {named}", fix=fix)
    return Finding("core", ok=True, detail="everything that robots need")


def outdated() -> dict[str, str]:
    """The versions of installed packages that are older than :data:`OLDEST`, by name."""
    found = {name: _version(name) for name in OLDEST if find_spec(name) is not None}
    return {name: version for name, version in found.items() if _release(version) < OLDEST[name]}


def _version(module: str) -> str:
    """The version of the package that brings a module."""
    if module == "onnxruntime":
        return min(inference.versions().values(), key=_release, default="99")  # built by hand
    return metadata.version(module)


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _extra(name: str) -> Finding:
    extra = EXTRAS[name]
    if not extra.missing:
        return Finding(name, ok=True, detail=extra.purpose, optional=True)
    fix = f"pip install '.[{name}]'"
    if "pybullet" in extra.missing and (coming := here().sentence):
        fix = f"{fix}; {coming}"
    detail = f"missing: {', '.join(extra.missing)} ({extra.purpose})"
    return Finding(name, ok=False, detail=detail, fix=fix, optional=True)


def _ros() -> Finding:
    distribution = os.environ.get("ROS_DISTRO")
    if distribution:
        return Finding("ros", ok=True, detail=f"ROS 2 {distribution}", optional=True)
    if find_spec("cyclonedds") is not None:
        return Finding("ros", ok=True, detail="no installation: the embedded one", optional=True)
    fix = "source /opt/ros/<distro>/setup.bash, or pip install '.[embedded]'"
    return Finding("ros", ok=False, detail="neither installed nor embedded", fix=fix)


def _attempt(subject: str, look: Callable[[], str], fix: str) -> Finding:
    try:
        return Finding(subject, ok=True, detail=look())
    except (MagmaError, ImportError, RuntimeError, OSError) as error:
        return Finding(subject, ok=False, detail=str(error), fix=fix)


def _network() -> str:
    """Open and close a participant, which is what fails when DDS finds no interface."""
    from magma_ros import embedded

    embedded.install()
    import rclpy

    rclpy.init(args=[])
    node = rclpy.create_node("doctor")
    node.destroy_node()
    rclpy.shutdown()
    return f"a node can be created on domain {os.environ.get('ROS_DOMAIN_ID', '0')}"


def check_bundle(bundle: str) -> tuple[Check, ...]:
    """Check every file of a bundle, its gate's included, and run every stage once.

    Raises:
        ShareError: There is no such bundle.
    """
    from magma_ros.gate.gate_file import GATE_FILE, require_gate_file
    from magma_ros.policy.report import verify

    judged = {GATE_FILE: lambda folder, manifest: require_gate_file(folder, manifest.exits)}
    return verify(find_bundle(bundle), judged)


def _bundle() -> str:
    for check in check_bundle("magma-nano"):
        if check.problem is not None:
            raise MagmaError(check.problem)
    return "every file is sound"


def _processor() -> Finding:
    cores = os.cpu_count() or 1
    ok = cores >= 2
    fix = "" if ok else "use a machine with two cores or more, or lower the policy's threads"
    return Finding("processor", ok, f"{cores} cores, {processor_name()}", fix, optional=True)


def _stress_ng() -> Finding:
    there = shutil.which("stress-ng") is not None
    return Finding(
        "stress-ng",
        ok=there,
        detail="takes the computer's time in magma bench wall and in the tests",
        fix="" if there else "sudo apt install stress-ng",
        optional=True,
    )
