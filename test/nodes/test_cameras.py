# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot's cameras may be any number, under any names, on any topics."""

import pytest

from magma_ros.nodes.cameras import DEPTH_TOPICS, CameraTopics, info_beside, named_topics
from magma_ros.nodes.settings import SettingError


def test_listed_cameras_are_below_their_topic_and_others_below_their_name():
    topics = CameraTopics("front=/camera/camera/color, top = overhead/rgb/ ,")
    assert topics.image("front") == "/camera/camera/color/image_raw"
    assert topics.image("front", compressed=True) == "/camera/camera/color/image_raw/compressed"
    assert topics.info("top") == "overhead/rgb/camera_info"
    assert topics.image("wrist") == "camera/wrist/image_raw"
    assert list(topics.bases) == ["front", "top"]
    assert list(CameraTopics("").bases) == []


@pytest.mark.parametrize("text", ["front", "front=", "=/camera", "front=a,front=b"])
def test_a_list_that_cannot_be_read_is_refused_in_a_sentence(text):
    with pytest.raises(SettingError, match="parameter camera_topics"):
        CameraTopics(text)


def test_a_calibration_lies_beside_its_depth_image():
    topics = named_topics(DEPTH_TOPICS, "front=/camera/camera/depth/image_rect_raw, top=depth")
    assert list(map(info_beside, topics.values())) == [
        "/camera/camera/depth/camera_info",
        "camera_info",
    ]
    with pytest.raises(SettingError, match="parameter depth_topics"):
        named_topics(DEPTH_TOPICS, "front")
