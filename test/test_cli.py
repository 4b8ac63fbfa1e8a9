# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: wrong requests get one sentence, exit status 2, and change nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from magma_ros.cli import main


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["demo", "--task", "fly"], "there is no task 'fly'; known: reach"),
        (
            ["demo", "--suite", "nope"],
            (
                "there is no suite 'nope'; known: cell-belt, cell-grasping, cell-pushing, moving, "
                "obstacles, tabletop"
            ),
        ),
        (["demo", "--bundle", "nope"], "there is no bundle 'nope'"),
        (["demo", "--gate", "nope"], "there is no gate 'nope'; known: adaptive, entropy, fixed"),
        (["demo", "--seed=-1"], "the seed must lie between 0 and 2147483647, not be -1"),
        (["demo", "--remote", "http://x"], "must be ws://HOST:PORT or wss://HOST:PORT"),
        (["demo", "--domain", "233"], "a DDS domain lies between 0 and 232, not at 233"),
        (["eval", "--tasks", "reach,fly"], "there is no task 'fly'"),
        (["eval", "--suite", "nope"], "there is no suite 'nope'"),
        (["eval", "--gate", "nope"], "there is no gate 'nope'"),
        (["eval", "--episodes", "0"], "episodes"),
        (["eval", "--bundle", "nope", "--out", "r"], "there is no bundle 'nope'"),
        (["eval", "--sheet"], "say where with --out"),
        (["eval", "--videos", "1000", "--clock", "wall", "--out", "r"], "no episode repeats"),
        (["eval", "--videos", "first", "--out", "r"], "--videos takes seeds"),
        (["eval", "--per-exit", "--depth", "2"], "--depth has nothing to choose"),
        (["eval", "--coin", "a.json", "--depth", "2"], "with neither --depth nor --per-exit"),
        (["eval", "--coin-exits", "1,2"], "--coin FILE stands in for a gate"),
        (["eval", "--coin", "a.json"], "a.json cannot be read"),
        (["eval", "--coin", "a.json", "--coin-exits", "1"], "two exits separated by a comma"),
        (["eval", "compare", "a.json", "b.json"], "a.json cannot be read"),
        (["eval", "--clock", "modelled", "--slowness", "0"], "slowness must be a positive factor"),
        (["eval", "--clock", "modelled", "--load", "quake"], "there is no load 'quake'"),
        (["bench", "gate", "--hardware", "abacus"], "there is no hardware profile 'abacus'"),
        (["bench", "gate", "--episodes", "0"], "episodes must be at least 1"),
        (["calibrate", "--check", "--tasks", "pick"], "leave out --suites and --tasks"),
        (["calibrate", "--episodes", "0"], "episodes must be at least 1"),
        (["bench", "latency", "--runs", "1"], "at least 2 runs"),
        (["bench", "latency", "--bundles", "nope"], "there is no bundle 'nope'"),
        (["bench", "wall", "--ticks", "0"], "ticks must be at least 1"),
        (
            ["bench", "wall", "--through", "process", "--period", "-1"],
            "the period must be a positive time",
        ),
        (
            ["bench", "wall", "--through", "process", "--deadline", "0.03"],
            "shorter than the period of 0.02 s",
        ),
        (["bench", "wall", "--deadline", "0.01"], "--deadline belongs to --through process"),
        (["bench", "wall", "--through", "process", "--rates", "9"], "belongs to --through nodes"),
        (["bench", "wall", "--bundle", "nope", "--no-hog"], "there is no bundle 'nope'"),
        (["demo", "--instruction", "pick the one marked 2"], "takes no marks: name the object"),
        (["bundle", "inspect", "nope"], "there is no bundle 'nope'"),
        (["launch", "nope.launch.yaml"], "nope.launch.yaml is not among the shared files"),
        (["launch", "robot.launch.yaml"], "(give robot:=NAME or robot_file:=FILE).yaml': No such"),
        (["launch", "robot.launch.yaml", "robot:=nope"], "config/robots/nope.yaml': No such file"),
        (["launch", "robot.launch.yaml", "robot_file:=/nowhere.yaml"], "/nowhere.yaml': No such"),
        (
            ["launch", "robot.launch.yaml", "robot:=franka_fr3", "config:=/nowhere"],
            "/nowhere/policy.yaml': No such file",
        ),
        (
            ["launch", "robot.launch.yaml", "robot:=franka_fr3", "namespace:=robot-1"],
            "'/robot-1' is not a namespace: it takes letters, digits and _",
        ),
        (
            ["launch", "robot.launch.yaml", "robot:=franka_fr3", "servo:=my servo"],
            "'my servo/delta_twist_cmds' is not the name of a topic",
        ),
        (["console", "--patience", "0.1"], "no guard answers on /guard/get_parameters"),
        (["console", "--robot", "nope"], "config/robots/nope.yaml is not among the shared files"),
        (["console", "--domain", "233"], "a DDS domain lies between 0 and 232, not at 233"),
        (["console", "--config", "nowhere.yaml"], "there is no file nowhere.yaml"),
        (["launch", "demo.launch.yaml", "task"], "name:=value"),
        (["launch", "demo.launch.yaml", "colour:=red"], "colour"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_request_gets_one_sentence(words, sentence, needs, capsys, tmp_path, monkeypatch):
    if words[0] in {"demo", "eval", "bench", "calibrate"}:
        needs("embedded", "sim")
    if words[0] == "console":
        needs("embedded", "console")
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    complaint = capsys.readouterr().err
    assert sentence in complaint
    assert len(complaint.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["demo"], "'.[embedded,sim]'"),
        (["launch", "demo.launch.yaml"], "'.[embedded]'"),
        (["demo", "--console"], "'.[embedded,sim,console]'"),
        (["demo", "--remote", "ws://127.0.0.1:1"], "'.[embedded,sim,remote]'"),
        (["console"], "'.[embedded,console]'"),
        (["eval"], "'.[sim]'"),
        (["bench", "gate"], "'.[sim]'"),
        (["train", "--config", "models/magma-nano.train.yaml"], "'.[sim,train]'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_missing_extra_is_named_with_its_command(words, command, capsys, monkeypatch):
    monkeypatch.setattr("magma_ros.doctor.find_spec", lambda name: None)
    assert main(words) == 2
    assert f"pip install {command}" in capsys.readouterr().err


def test_json_that_cannot_be_written_is_named(capsys, tmp_path):
    missing = tmp_path / "nowhere" / "bundle.json"
    assert main(["bundle", "inspect", "--json", str(missing)]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_shipped_bundle_is_sound(capsys):
    assert main(["bundle", "verify"]) == 0


def test_inspect_writes_the_manifest(tmp_path):
    assert main(["bundle", "inspect", "--json", str(tmp_path / "m.json")]) == 0
    manifest = json.loads((tmp_path / "m.json").read_text())
    assert manifest["name"] == "magma-nano"


def test_same_seed_gives_the_same_json(tmp_path, needs):
    needs("sim")
    for name in ("a.json", "b.json"):
        words = ["eval", "--tasks", "reach", "--episodes", "2", "--json", str(tmp_path / name)]
        assert main(words) == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_terminated_command_leaves_no_process_behind(needs):
    needs("sim")
    code = "import sys; from magma_ros.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["eval", "--tasks", "reach", "--episodes", "1000"]
    process = subprocess.Popen([sys.executable, "-c", code, *words], start_new_session=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        while len(children.read_text().split()) < 2:
            time.sleep(0.1)
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
        deadline = time.monotonic() + 30.0
        while time.monotonic() < deadline:  # the last one ends once it notices that the others have
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.02)
        pytest.fail("a process was left behind")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_doctor_finds_this_machine_fit(capsys):
    assert main(["doctor"]) == 0


def test_core_needs_neither_torch_nor_a_simulator_nor_ros():
    rooms = "policy.runtime", "gate.loop", "motion", "guard", "cli"
    imports = "; ".join(f"import magma_ros.{room}" for room in rooms)
    heavy = (
        "{'torch', 'transformers', 'pybullet', 'gymnasium', 'matplotlib', 'cyclonedds', 'rclpy'}"
    )
    code = f"import sys; {imports}; sys.exit(str({heavy} & sys.modules.keys() or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
