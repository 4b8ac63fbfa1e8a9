# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An episode says who drove, what happened and how well it was recorded."""

import json
import re

import pytest

from magma_ros.cli import main
from magma_ros.episodes.overview import report


@pytest.fixture
def folder(scene):
    made = scene().usual(seconds=4.0)
    made.text("policy/help", 0.9, "unsure \x1b[2J of it")
    made.mode(1.0, "TELEOP", "teleop", "HELP_REQUESTED")
    made.mode(1.5, "TELEOP", "guard")
    made.mode(2.0, "AUTO", "policy")
    made.mode(3.0, "TELEOP", "teleop")
    made.mode(3.5, "STOPPED", "guard", "OPERATOR_STOP")
    made.status("task/status", 3.9, "Late.", state="TIMED_OUT")
    made.text("episode/label", 3.95, "bad")
    made.messages = [m for m in made.messages if "ee_pose" not in m[1] or not 2.0 < m[0] < 2.5]
    return made.write()


def test_who_drove_when_is_told(folder):
    found = report(folder)
    told = found.overview
    assert told.instruction == "pick the red cube"
    assert told.shares == pytest.approx({"policy": 0.5, "human": 0.25, "guard": 0.25}, abs=0.01)
    (first, second) = told.interventions  # TELEOP without a driver is one take-over all the same
    assert first == pytest.approx((1.0, 2.0), abs=0.01)
    assert second == pytest.approx((3.0, 3.5), abs=0.01)
    assert (told.outcome.task, told.outcome.label) == ("TIMED_OUT", "bad")
    assert any("STOPPED (OPERATOR_STOP)" in event.text for event in told.events)


def test_rates_and_gaps_are_told_by_topic(folder):
    figures = {topic.name: topic for topic in report(folder).topics}
    assert figures["/joint_states"].rate == pytest.approx(50.0, rel=0.01)
    assert figures["/ee_pose"].longest_gap == pytest.approx(0.52, abs=0.03)
    assert figures["/camera/front/image_raw"].messages == 41


def test_an_episode_is_shown_and_listed_by_command(folder, tmp_path, capsys):
    told = tmp_path / "told.json"
    assert main(["episodes", "show", str(folder), "--json", str(told)]) == 0
    out = capsys.readouterr().out
    assert "take-overs: 1.0 to 2.0 s, 3.0 to 3.5 s" in out
    assert "outcome: TIMED_OUT" in out
    assert "OPERATOR_STOP" in out
    assert "\x1b" not in out  # what a message holds moves no cursor
    assert json.loads(told.read_text())["overview"]["outcome"]["label"] == "bad"
    assert main(["episodes", "list", str(folder.parent), "--json", str(told)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"50/2\d/2\d %", out)
    assert "TIMED_OUT" in out
    (listed,) = json.loads(told.read_text())
    assert listed["happened"]["interventions"] != []


def test_what_cannot_be_shown_is_one_sentence(scene, tmp_path, capsys):
    both = scene("both", namespace="/left").usual()
    both.messages += scene("other", namespace="/right").usual().messages
    folder = both.write()
    for words in ([str(tmp_path / "nowhere")], [str(folder)], [str(folder), "--namespace", "up"]):
        assert main(["episodes", "show", *words]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["episodes", "show", str(folder), "--namespace", "left"]) == 0
    assert main(["episodes", "list", str(folder.parent)]) == 0
