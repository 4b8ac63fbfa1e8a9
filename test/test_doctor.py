# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The doctor names what would go wrong on this machine, with the command that mends it."""

import os
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from magma_ros import doctor
from magma_ros.doctor import examine, inference, ros


def finding(found, subject):
    (one,) = (f for f in found if f.subject == subject)
    return one


def test_fast_dds_beside_cyclone_is_named_with_the_variable():
    found = finding(ros.examine({"ROS_DISTRO": "jazzy"}), "middleware")
    assert not found.ok
    assert "services" in found.detail
    assert "export RMW_IMPLEMENTATION=rmw_cyclonedds_cpp (ros-jazzy-rmw-" in found.fix


def test_who_calls_embedded_nodes_is_told_the_variable():
    found = finding(ros.examine({}), "middleware")
    assert found.ok
    assert "RMW_IMPLEMENTATION=rmw_cyclonedds_cpp" in found.detail


def test_cyclone_on_a_real_ros_is_right():
    environment = {"ROS_DISTRO": "jazzy", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}
    assert finding(ros.examine(environment), "middleware").ok


@pytest.mark.parametrize(("domain", "ok"), [("0", True), ("233", False), ("x", False), ("", True)])
def test_a_domain_that_cannot_be_joined_is_named(domain, ok):
    found = finding(ros.examine({"ROS_DOMAIN_ID": domain}), "domain")
    assert found.ok is ok
    assert ok or "from 0 to 232" in found.fix


def test_how_far_nodes_are_looked_for_is_told():
    assert "LOCALHOST" in finding(ros.examine({}), "discovery").detail
    assert "SUBNET" in finding(ros.examine({"ROS_DISTRO": "jazzy"}), "discovery").detail
    assert not finding(ros.examine({"ROS_AUTOMATIC_DISCOVERY_RANGE": "all"}), "discovery").ok


def test_a_log_folder_that_cannot_be_written_is_named_with_the_variable(tmp_path):
    (tmp_path / "file").write_text("")
    found = finding(ros.examine({"ROS_HOME": str(tmp_path / "file")}), "logs")
    assert not found.ok
    assert "ROS_LOG_DIR" in found.fix
    assert finding(ros.examine({"ROS_LOG_DIR": str(tmp_path / "new")}), "logs").ok


def test_a_python_that_pip_must_not_touch_is_named_with_the_way_out(tmp_path, monkeypatch):
    (tmp_path / "EXTERNALLY-MANAGED").write_text("")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    found = doctor._environment(Path("/usr"), Path("/usr"))
    assert not found.ok
    assert "--system-site-packages" in found.fix
    assert doctor._environment(Path("/venv"), Path("/usr")).ok


def test_a_pydantic_of_the_system_that_is_too_old_is_named(monkeypatch, needs):
    needs("core")
    installed = {"pydantic": "1.10.14"}
    monkeypatch.setattr("importlib.metadata.version", lambda n: installed.get(n, "99.0"))
    found = doctor._core()
    assert not found.ok
    assert "too old: pydantic 1.10.14" in found.detail


def test_every_remedy_belongs_to_a_finding_that_is_not_well():
    for found in examine():
        assert bool(found.fix) is not found.ok, found


def test_the_doctor_leaves_the_environment_alone():
    before = dict(os.environ)
    examine()
    assert dict(os.environ) == before


def test_two_packages_of_onnxruntime_are_named_with_the_way_to_one():
    found = inference.packages({"onnxruntime-gpu": "1.31.1", "onnxruntime": "1.31.1"})
    assert not found.ok
    assert "overwrite" in found.detail
    assert found.fix.startswith("pip uninstall --yes onnxruntime onnxruntime-gpu")
    assert inference.packages({"onnxruntime-gpu": "1.31.1"}).ok


def test_a_runtime_for_gpus_alone_is_no_missing_onnxruntime(monkeypatch):
    """Its package has another name than the module."""

    def version(name):
        if name == "onnxruntime":
            raise PackageNotFoundError(name)
        return "1.22.0" if name == "onnxruntime-gpu" else "99.0"

    monkeypatch.setattr("importlib.metadata.version", version)
    monkeypatch.setattr(inference.versions, "__defaults__", (version,))
    assert doctor.outdated() == {"onnxruntime": "1.22.0"}


def test_what_policies_would_run_on_is_told():
    said = inference.accelerators(["onnxruntime"], {"T": "none", "C": "none"}, 0)
    assert said.ok
    assert "CPUExecutionProvider alone" in said.detail
    said = inference.accelerators(["onnxruntime-gpu"], {"T": "no TensorRT", "C": ""}, 1)
    assert said.ok
    assert "C can be used; T: no TensorRT" in said.detail


def test_a_gpu_that_goes_unused_is_named_with_the_remedy():
    said = inference.accelerators(["onnxruntime"], {"T": "built without", "C": "built without"}, 1)
    assert not said.ok
    assert "onnxruntime-gpu[cuda,cudnn]" in said.fix
    said = inference.accelerators(["onnxruntime-gpu"], {"T": "x", "C": "no NVIDIA driver"}, 0)
    assert not said.ok
    assert "no NVIDIA driver" in said.detail
    assert "driver" in said.fix
