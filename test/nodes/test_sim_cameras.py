# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated cameras over DDS: pictures, depth and calibrations share stamp, frame and space."""

import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import Buffer, TransformListener

from magma_ros.nodes import names, qos
from magma_ros.nodes.settings import SettingError
from magma_ros.nodes.sim_node import SimNode

DONE = TransitionCallbackReturn.SUCCESS


@pytest.fixture
def sim(request, needs):
    """A simulation node with the parameters given, and a listener beside it."""
    needs("sim")
    parameters = {"overview_rate": 0.0, "seed": 5} | getattr(request, "param", {})
    given = [part for pair in parameters.items() for part in ("-p", "{}:={}".format(*pair))]
    rclpy.init(args=["--ros-args", *given])
    node, listener = SimNode(), rclpy.create_node("listener")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(listener)
    yield node, listener, executor
    node.end()
    rclpy.shutdown()


def spin(executor, condition):
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline
        executor.spin_once(timeout_sec=0.1)


def heard(listener, kinds):
    """The newest messages by topic, as they come."""
    newest = {}
    for topic, kind in kinds.items():
        keep = lambda message, topic=topic: newest.update({topic: message})  # noqa: E731
        listener.create_subscription(kind, topic, keep, qos.IMAGES)
    return newest


def frame(buffer, name):
    """Origin and rotation of a frame in base_link."""
    transform = buffer.lookup_transform("base_link", name, Time()).transform
    p, q = transform.translation, transform.rotation
    return np.array([p.x, p.y, p.z]), Rotation.from_quat([q.x, q.y, q.z, q.w])


@pytest.mark.parametrize(
    "sim", [{"depth_rate": 15.0, "depth_cameras": "[front, wrist]"}], indirect=True
)
def test_depth_calibration_and_tf_put_the_table_where_it_is(sim):
    node, listener, executor = sim
    topics = {}
    for camera in ("front", "wrist"):
        topics |= {names.depth_topic(camera): Image, names.depth_info_topic(camera): CameraInfo}
    newest = heard(listener, topics)
    buffer = Buffer()
    TransformListener(buffer, listener)
    assert node.trigger_configure() == node.trigger_activate() == DONE
    frames = [f"{camera}_camera_optical" for camera in ("front", "wrist")]
    spin(executor, lambda: newest.keys() == topics.keys())
    spin(executor, lambda: all(buffer.can_transform("base_link", f, Time()) for f in frames))
    for camera in ("front", "wrist"):
        image, info = newest[names.depth_topic(camera)], newest[names.depth_info_topic(camera)]
        assert (image.encoding, image.is_bigendian, image.step) == ("32FC1", 0, 4 * 320)
        assert (image.width, image.height) == (info.width, info.height) == (320, 240)
        assert image.header.frame_id == info.header.frame_id == f"{camera}_camera_optical"
        depth = np.frombuffer(bytes(image.data), "<f4").reshape(240, 320)
        rows, columns = np.nonzero(np.isfinite(depth))
        rays = np.stack([columns, rows, np.ones_like(rows)])
        points = np.linalg.solve(np.reshape(info.k, (3, 3)), rays) * depth[rows, columns]
        origin, rotation = frame(buffer, image.header.frame_id)
        heights = (rotation.apply(points.T) + origin)[:, 2]
        assert (np.abs(heights) < 0.002).mean() > 0.3, "the table lies at height 0"
        assert heights.min() > -0.06, "and nothing under it"


def test_colour_comes_with_its_calibration_and_depth_only_when_asked_for(sim):
    node, listener, executor = sim
    pictures, infos = names.camera_topic("front"), names.camera_info_topic("front")
    newest = heard(listener, {pictures: Image, infos: CameraInfo})
    assert node.trigger_configure() == node.trigger_activate() == DONE
    spin(executor, lambda: len(newest) == 2)
    image, info = newest[pictures], newest[infos]
    assert (info.width, info.height) == (image.width, image.height) == (96, 96)
    assert info.header.frame_id == image.header.frame_id == "front_camera_optical"
    assert info.p[:3] == pytest.approx(info.k[:3])
    topics = {publisher.topic_name for publisher in node.publishers}
    assert not any("depth" in topic for topic in topics)


@pytest.mark.parametrize("sim", [{"depth_rate": 15.0, "depth_cameras": "[rear]"}], indirect=True)
def test_an_unknown_depth_camera_is_named(sim):
    node, _, _ = sim
    assert node.trigger_configure() != DONE
    assert isinstance(node.failure, SettingError)
    assert "'rear'" in str(node.failure)
    assert "front, wrist" in str(node.failure)


@pytest.mark.parametrize("tick", [0.02, 0.035, 0.06])
def test_pictures_keep_their_rate_on_a_machine_too_busy_for_the_physics_rate(sim, tick):
    node, _, _ = sim
    assert node.trigger_configure() == DONE
    ticks = np.arange(100.0, 110.0, tick)
    taken = [now for now in ticks if node._cameras._due("camera_rate", now)]
    assert len(taken) == pytest.approx(100, abs=1)
    assert max(np.diff(taken)) < 0.15, "what is more counts as a missing picture"
