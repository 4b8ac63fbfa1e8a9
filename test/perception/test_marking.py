# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma mark`` and ``magma trace`` write whole pictures and texts, or say what is wrong."""

import json

import cv2
import numpy as np
import pytest

from magma_ros.cli import main
from magma_ros.perception.error import PerceptionError
from magma_ros.perception.mark_text import parse_answer, parse_places, parse_question
from magma_ros.perception.overlay import DISC
from magma_ros.perception.pictures import frame_of, read_picture, read_video, write_png
from magma_ros.perception.regions import RegionConfig, find_regions, read_boxes
from magma_ros.types import MagmaError

SIZE = (320, 240)
THINGS = {(40, 60): (200, 30, 30), (150, 140): (30, 160, 60), (250, 80): (30, 60, 200)}


def table():
    picture = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
    for (column, row), colour in THINGS.items():
        cv2.rectangle(picture, (column, row), (column + 24, row + 18), colour, cv2.FILLED)
    noise = np.random.default_rng(0).integers(-3, 4, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def image(tmp_path):
    write_png(table(), tmp_path / "table.png")
    return tmp_path / "table.png"


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A textured thing that goes to the right over a ground with texture."""
    path = tmp_path_factory.mktemp("video") / "push.avi"
    rng = np.random.default_rng(0)
    ground, thing = (
        cv2.resize(rng.integers(low, high, shape).astype(np.uint8), size)
        for low, high, shape, size in (
            (60, 140, (30, 40, 3), SIZE),
            (100, 255, (8, 8, 3), (48, 48)),
        )
    )
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, SIZE)
    for step in range(17):
        frame = ground.copy()
        frame[96:144, 20 + 8 * step : 68 + 8 * step] = thing
        writer.write(frame)
    writer.release()
    return path


def refusal(capsys, *args) -> str:
    assert main([str(arg) for arg in args]) == 2
    return " ".join(capsys.readouterr().err.split())


def test_things_of_one_colour_are_found_in_a_picture_alone():
    points = [region.point for region in find_regions(table())]
    middles = [((c + 12.5) * 256 / SIZE[0], (r + 9.5) * 256 / SIZE[1]) for c, r in THINGS]
    np.testing.assert_allclose(points, sorted(middles), atol=2.0)


def test_no_more_than_the_largest_regions_are_kept():
    assert len(find_regions(table(), RegionConfig(most=2))) == 2
    assert len(find_regions(table(), RegionConfig(apart=150.0))) < 3
    assert find_regions(np.full((40, 40, 3), 9, np.uint8)) == []


def test_marking_writes_a_picture_with_numbers_and_where_they_are(image, tmp_path):
    assert main(["mark", str(image), "--json", str(tmp_path / "marks.json")]) == 0
    drawn = read_picture(tmp_path / "table-marked.png")
    assert drawn.shape == (SIZE[1], SIZE[0], 3)
    told = json.loads((tmp_path / "marks.json").read_text())
    places = parse_places(told["conversations"][1]["value"])
    assert {str(n): list(place) for n, place in places.items()} == told["marks"]
    red = (np.abs(drawn.astype(int) - DISC).max(axis=-1) < 40).astype(np.uint8)
    for column, row in places.values():
        where = round((row + 0.5) * SIZE[1] / 256), round((column + 0.5) * SIZE[0] / 256)
        assert red[where[0] - 9 : where[0] + 9, where[1] - 9 : where[1] + 9].sum() > 60


def test_the_order_of_the_numbers_is_drawn_by_the_seed(image, tmp_path):
    orders = set()
    for seed in range(6):
        main(["mark", str(image), "--seed", str(seed), "--json", str(tmp_path / "m.json")])
        marks = json.loads((tmp_path / "m.json").read_text())["marks"]
        orders.add(tuple(sorted(marks, key=lambda n: marks[n])))
    assert len(orders) > 2


def test_boxes_of_somebody_else_are_marked(image, tmp_path):
    (tmp_path / "boxes.json").write_text("[[40, 60, 64, 78], [0, 0, 320, 240]]")
    found = read_boxes(tmp_path / "boxes.json", SIZE)
    assert [f.outline.shape for f in found] == [(4, 2), (4, 2)]
    out = tmp_path / "out.png"
    boxes = ["--boxes", str(tmp_path / "boxes.json")]
    assert main(["mark", str(image), *boxes, "--out", str(out)]) == 0
    assert out.is_file()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not valid JSON"),
        ("{}", "holds no list of 1 to 1000 boxes"),
        ("[]", "holds no list of 1 to 1000 boxes"),
        ("[[1, 2, 3]]", "box 0 is no list of 4 numbers"),
        ('[[1, 2, 3, "4"]]', "box 0 is no list of 4 numbers"),
        ("[[1, 2, 3, true]]", "box 0 is no list of 4 numbers"),
        ("[[1, 2, 3, NaN]]", "box 0 has no width or no height"),
        ("[[5, 5, 4, 9]]", "box 0 has no width or no height"),
        ("[[1, 1, 9, 9], [400, 0, 500, 9]]", "box 1 lies outside the picture of 320 x 240"),
        ("[[-1e300, 1, 1e300, 0]]", "box 0 has no width or no height"),
    ],
)
def test_boxes_that_are_none_are_named(tmp_path, text, says):
    (tmp_path / "boxes.json").write_text(text)
    with pytest.raises(MagmaError, match=says):
        read_boxes(tmp_path / "boxes.json", SIZE)


def test_tracing_writes_pictures_and_a_sample_that_can_be_read(video, tmp_path):
    out = tmp_path / "out"
    asked = ["--task", "push it", "--out", str(out), "--seed", "4"]
    assert main(["trace", str(video), *asked]) == 0
    told = json.loads((out / "sample.json").read_text())
    question, answer = (turn["value"] for turn in told["conversations"])
    asked = parse_question(question)
    traces = parse_answer(answer, asked.marks)
    assert traces
    assert asked.task == "push it"
    for trace in traces.values():
        (first, row), (last, end) = trace[0], trace[-1]
        assert last - first > 20  # 8 pixels a step of 320 pixels, at least 5 steps
        assert abs(end - row) <= 2
    plain = frame_of(video, told["start_frame"])
    marks, drawn = read_picture(out / "marks.png"), read_picture(out / "trace.png")
    assert marks.shape == drawn.shape == plain.shape
    assert (plain != marks).any(axis=-1).sum() < (plain != drawn).any(axis=-1).sum()


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_picture_or_video_is_named(tmp_path, capsys, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert "is no picture" in refusal(capsys, "mark", path)
    assert "is no video" in refusal(capsys, "trace", path, "--task", "x")
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_named(tmp_path, capsys):
    assert "cannot be read" in refusal(capsys, "mark", tmp_path / "none.png")
    assert "there is no video" in refusal(capsys, "trace", tmp_path / "none.mp4", "--task", "x")


def test_a_picture_in_which_nothing_stands_out_is_named(tmp_path, capsys):
    write_png(np.full((40, 40, 3), 200, np.uint8), tmp_path / "grey.png")
    assert "give --boxes FILE" in refusal(capsys, "mark", tmp_path / "grey.png")


def test_a_frame_beyond_the_end_is_named(video):
    assert sum(1 for _ in read_video(video)) == 17
    with pytest.raises(PerceptionError, match="has no frame 17"):
        frame_of(video, 17)
