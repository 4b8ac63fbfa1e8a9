# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Foxglove's layout shows what is really there: every topic and field of it exists.

Whether the keys of the statuses exist is tried on a recorded demo, in ``test/graph``.
"""

import json
import re
from pathlib import Path

import pytest
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_typestore

from magma_ros.nodes.cameras import CameraTopics
from magma_ros.nodes.recorded import TOPICS, camera_topics

LAYOUT = Path(__file__).parents[2] / "config" / "foxglove" / "magma_ros.json"
STORE = get_typestore(Stores.ROS2_JAZZY)

LIVE = {
    "/points": "sensor_msgs/msg/PointCloud2",
    "/overlay/image": "sensor_msgs/msg/Image",
    "/obstacles/markers": "visualization_msgs/msg/MarkerArray",
}
"""What is shown of a live robot only."""

NUMBERS_AND_TEXTS = {"bool", "string", "float32", "float64", "int32", "uint32", "uint8", "byte"}


@pytest.fixture(scope="module")
def panels():
    return json.loads(LAYOUT.read_text())["configById"]


@pytest.fixture(scope="module")
def types():
    """Type of each topic that is recorded, or shown live."""
    cameras = camera_topics(["front", "wrist"], CameraTopics(""), compressed=False)
    recorded = {
        f"/{t.topic.lstrip('/')}": f"{t.kind.__module__.split('.')[0]}/msg/{t.kind.__name__}"
        for t in [*TOPICS, *cameras]
    }
    return recorded | LIVE


def message_paths(panel):
    paths = [entry["value"] for entry in panel.get("paths", [])]
    return paths + [panel[key] for key in ("path", "topicPath") if panel.get(key)]


def shown_topics(panel):
    image = panel.get("imageMode", {})
    topics = [*panel.get("topics", {}), *image.get("annotations", {})]
    named = (image.get("imageTopic"), image.get("calibrationTopic"), panel.get("topicToRender"))
    return [*topics, *filter(None, named)]


def leaf(kind, fields):
    """The type of what a path leads to."""
    for name in fields:
        node, value = dict(STORE.fielddefs[kind][1])[name.partition("[")[0]]
        while node in (Nodetype.ARRAY, Nodetype.SEQUENCE):
            assert "[" in name, name
            node, value = value[0]
        kind = value if node == Nodetype.NAME else value[0]
    return kind


def panels_of(tree):
    if isinstance(tree, str):
        return [tree]
    assert tree["direction"] in ("row", "column")
    return [*panels_of(tree["first"]), *panels_of(tree["second"])]


def test_every_panel_has_its_place_and_its_settings(panels):
    layout = json.loads(LAYOUT.read_text())["layout"]
    assert sorted(panels_of(layout)) == sorted(panels)


def test_every_topic_that_is_shown_exists_and_is_of_a_type_that_can_be_shown(panels, types):
    for name, panel in panels.items():
        for topic in shown_topics(panel):
            assert topic in types, name
    images = [panel["imageMode"] for name, panel in panels.items() if name.startswith("Image!")]
    assert {types[image["imageTopic"]] for image in images} == {"sensor_msgs/msg/Image"}
    annotations = {types[topic] for image in images for topic in image["annotations"]}
    assert annotations == {"visualization_msgs/msg/ImageMarker"}


def test_every_message_path_leads_to_a_number_or_a_text(panels, types):
    seen = set()
    for name, panel in panels.items():
        for path in message_paths(panel):
            bare = re.sub(r'\{key=="\w+"\}', "", path)
            topic, *fields = bare.split(".")
            assert topic in types, f"{name}: {path}"
            assert leaf(types[topic], fields) in NUMBERS_AND_TEXTS, f"{name}: {path}"
            seen.add(path)
    for wanted in ("depth", "slack_ms", "late", "mode"):
        assert any(f'=="{wanted}"' in path for path in seen)
    assert "/clearance.range" in seen
    assert "/servo_node/delta_twist_cmds.twist.linear.x" in seen


def test_the_mode_has_a_colour_for_each_of_the_guards(panels):
    from magma_ros.types import Mode

    rules = panels["Indicator!mode"]["rules"]
    assert {rule["rawValue"] for rule in rules} == {mode.name for mode in Mode}
