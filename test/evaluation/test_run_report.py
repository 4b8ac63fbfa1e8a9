# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The closing report says what happened, also when little did."""

import json

import numpy as np
import pytest
from PIL import Image

from magma_ros.evaluation.report.run import (
    VIEW_LIFETIME,
    PlanRecord,
    PolicyView,
    RunRecord,
    write_report,
)
from magma_ros.perception.overlay import COLOURS


@pytest.fixture
def record():
    record = RunRecord(task="pick", seed=4, instruction="pick the red cube")
    record.outcome, record.elapsed = "SUCCEEDED", 6.5
    for step in range(10):
        time = 0.1 * step
        slack = -0.01 if step == 3 else 0.04
        plan = PlanRecord("CONFIDENT", 1 + step % 3, slack, 0.005, 0.004, 0.5)
        record.plans.append((time, plan))
        record.speeds.append((time, 0.1))
        record.heights.append((time, 0.2))
        record.frames.append((time, np.full((24, 32, 3), 20 * step, np.uint8)))
    record.modes.append((0.0, "AUTO", "The policy drives."))
    return record


def test_report_counts_late_plans_and_depth(record, tmp_path):
    summary = write_report(record, tmp_path)
    assert summary["success"] is True
    assert (summary["plans"], summary["late"]) == (10, 1)
    assert summary["mean_depth"] == pytest.approx(1.9)
    assert summary["longest_command_gap"] == pytest.approx(0.1)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary


def test_the_gap_before_somebody_drives_is_no_gap(record, tmp_path):
    record.speeds.insert(0, (-5.0, 0.0))
    record.modes.insert(0, (-6.0, "HOLD", "The arm holds still and waits for a person."))
    assert write_report(record, tmp_path)["longest_command_gap"] == pytest.approx(0.1)
    record.modes[0] = (-6.0, "TELEOP", "A person drives.")
    assert write_report(record, tmp_path)["longest_command_gap"] == pytest.approx(5.0)


def test_report_shows_plot_and_clip(record, tmp_path):
    write_report(record, tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "1 late" in page
    assert "clip.gif" in page
    assert Image.open(tmp_path / "clip.gif").n_frames == 10
    assert Image.open(tmp_path / "plot.png").size[0] > 500


def test_clip_shows_what_the_policy_expects_as_long_as_it_is_news(record, tmp_path):
    paths = {"gripper": np.array([[10.0, 50.5], [90.0, 50.5]])}
    grey = np.full((96, 96, 3), 90, np.uint8)
    record.frames = [
        (time, np.full((240, 320, 3), shade, np.uint8))
        for time, shade in ((0.0, 255), (0.1, 254), (0.9 * VIEW_LIFETIME, 253), (2.0, 252))
    ]
    record.views = [(0.05, PolicyView(grey, paths))]
    write_report(record, tmp_path)
    clip = Image.open(tmp_path / "clip.gif")
    shown = []
    for index in range(clip.n_frames):
        clip.seek(index)
        shown.append(np.asarray(clip.convert("RGB"), int))
    # The view, 96 px high with a border of 2 px, is the lower left corner.
    along = [frame[-100:, :100][52, 20:80] for frame in shown]
    drawn = [bool((abs(line - COLOURS["gripper"]) < 30).all()) for line in along]
    assert drawn == [False, True, True, False]
    assert all((frame[60:, 110:] > 240).all() for frame in shown)


def test_run_without_a_single_plan_still_gets_a_report(tmp_path):
    summary = write_report(RunRecord(task="pick"), tmp_path)
    assert summary["success"] is False
    assert "clip.gif" not in (tmp_path / "report.md").read_text()
