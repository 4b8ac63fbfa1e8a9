# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which network is used, and one clear sentence when there is none."""

import subprocess
import sys
from pathlib import Path

import pytest
import rclpy

from magma_ros.embedded.wire.domain import DomainError, configuration

ROOT = Path(__file__).parents[2]


def test_a_missing_interface_is_one_clear_sentence(monkeypatch):
    uri = '<General><Interfaces><NetworkInterface name="nope"/></Interfaces></General>'
    monkeypatch.setenv("CYCLONEDDS_URI", uri)
    with pytest.raises(DomainError, match="settings in CYCLONEDDS_URI; check that the network"):
        rclpy.init()
    monkeypatch.delenv("CYCLONEDDS_URI")
    rclpy.init()
    rclpy.shutdown()


@pytest.mark.parametrize("number", ["abc", "-1", "233"])
def test_a_wrong_domain_number_is_named(monkeypatch, number):
    monkeypatch.setenv("ROS_DOMAIN_ID", number)
    with pytest.raises(DomainError, match=f"ROS_DOMAIN_ID is '{number}'; it must be 0 to 232"):
        rclpy.init()


def test_the_network_is_closed_unless_opened(monkeypatch):
    for name in ("ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY", "CYCLONEDDS_URI"):
        monkeypatch.delenv(name, raising=False)
    assert "127.0.0.1" in configuration()
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    assert "127.0.0.1" not in configuration()
    monkeypatch.setenv("ROS_LOCALHOST_ONLY", "1")
    assert "127.0.0.1" in configuration()


def test_a_node_sends_from_the_loopback_only(program):
    spinner = program("spinner")
    spinner.wait_for("spinning")
    process = Path("/proc") / str(spinner.process.pid)
    links = [str(link.readlink()) for link in (process / "fd").iterdir()]
    inodes = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    table = (process / "net" / "udp").read_text().splitlines()[1:]
    addresses = {row[1].partition(":")[0] for row in map(str.split, table) if row[9] in inodes}
    loopback, any_address = "0100007F", "00000000"  # receiving sockets have the latter
    assert addresses == {loopback, any_address}


def test_importing_costs_nothing_until_it_is_used():
    code = (
        "import sys; from magma_ros import embedded; embedded.install();"
        "print(sorted({'cyclonedds', 'rosbags', 'numpy', 'yaml'} & set(sys.modules)))"
    )
    run = [sys.executable, "-c", code]
    result = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_an_installed_ros_wins(tmp_path):
    (tmp_path / "rclpy").mkdir()
    (tmp_path / "rclpy" / "__init__.py").write_text("NAME = 'the installed one'\n")
    (tmp_path / "std_msgs").mkdir()
    (tmp_path / "std_msgs" / "__init__.py").write_text("")
    (tmp_path / "std_msgs" / "msg.py").write_text("String = 'the installed one'\n")
    code = (
        "from magma_ros import embedded; embedded.install(); embedded.install();"
        "import rclpy, std_msgs.msg; print(rclpy.NAME, std_msgs.msg.String)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "the installed one the installed one"
