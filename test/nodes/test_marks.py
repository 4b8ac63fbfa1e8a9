# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Marks come as topics; the one that an instruction names becomes a place, over DDS."""

import math
import time

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point32, PointStamped, PolygonInstanceStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from magma_ros.nodes import convert, names, qos, sim_node
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.mark_messages import point_from_message
from magma_ros.nodes.mark_settings import MARKS_SETTINGS
from magma_ros.nodes.marks import Marks
from magma_ros.sim.simulation import Simulation

FRAME = "front_camera_optical"
SIZE = (320, 240)


class Marker(ManagedNode):
    """A node that marks and does nothing else."""

    SETTINGS = MARKS_SETTINGS

    def setup(self) -> None:
        self.marks = Marks(self)


class Rig:
    """The node, and another that plays camera, operator and guard for it."""

    def __init__(self, **parameters) -> None:
        given = {"marks.rate": 30.0} | parameters
        words = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
        rclpy.init(args=["--ros-args", *words])
        self.simulation = Simulation("pick", seed=3)
        self.world = rclpy.create_node("world", use_global_arguments=False)
        publisher, hear = self.world.create_publisher, self.world.create_subscription
        self._images = publisher(Image, names.camera_topic("front"), qos.IMAGES)
        self._infos = publisher(CameraInfo, names.camera_info_topic("front"), qos.STATE)
        self._instruction = publisher(String, names.INSTRUCTION, qos.LATCHED)
        self._mode = publisher(DiagnosticStatus, names.GUARD_MODE, qos.LATCHED)
        self.detections = publisher(PolygonInstanceStamped, names.DETECTIONS, qos.EVENTS)
        self.told, self.points, self.overlays = [], [], []
        hear(MarkerArray, names.MARKS, self.told.append, qos.STATE)
        hear(PointStamped, names.INSTRUCTION_POINT, self.points.append, qos.LATCHED)
        self.node = Marker("perception")
        done = TransitionCallbackReturn.SUCCESS
        assert self.node.trigger_configure() == self.node.trigger_activate() == done
        self.executor = SingleThreadedExecutor()
        for node in (self.world, self.node):
            self.executor.add_node(node)

    def close(self) -> None:
        self.simulation.close()
        for node in (self.node, self.world):
            node.destroy_node()
        rclpy.shutdown()

    @property
    def marks(self):
        return self.node.marks

    def watch(self) -> None:
        self.world.create_subscription(Image, names.OVERLAY, self.overlays.append, qos.IMAGES)

    def say(self, words: str) -> None:
        self._instruction.publish(String(data=words))

    def drive(self, mode: str) -> None:
        status = convert.status_message(DiagnosticStatus.OK, "guard", mode, {"mode": mode})
        self._mode.publish(status)

    def see(self, *, calibrated=True) -> float:
        """Send a picture, wait until it was heard, and hand over its depth image."""
        simulation, stamp = self.simulation, self.world.get_clock().now().to_msg()
        image = convert.image_to_message(simulation.image("front"), FRAME, stamp)
        self._images.publish(image)
        matrix, size = simulation.camera_matrix("front"), (image.width, image.height)
        if calibrated:
            self._infos.publish(convert.camera_info_message(matrix, size, image.header))
        self.spin(0.1)
        if self.marks.wants_depth:
            pose, mount = np.eye(4), simulation.mount("front")
            pose[:3, :3] = Rotation.from_quat(mount.quaternion).as_matrix()
            pose[:3, 3] = mount.position
            depth = simulation.depth("front", *SIZE)
            matrix = simulation.camera_matrix("front", SIZE)
            self.marks.see_depth(depth, matrix, pose, convert.seconds(stamp))
        return convert.seconds(stamp)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.01)

    def until(self, condition, *, seeing=True) -> None:
        end = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            if seeing:
                self.see()
            self.spin(0.02)

    @property
    def newest(self):
        return self.told[-1].markers if self.told else []


@pytest.fixture
def rig():
    made = []

    def make(**parameters):
        made.append(Rig(**parameters))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_every_object_is_told_with_number_place_and_outline(rig):
    rig = rig()
    rig.until(lambda: rig.newest)
    names_ = rig.simulation.object_names
    assert [marker.id for marker in rig.newest] == list(range(1, len(names_) + 1))
    places = [rig.simulation.project("front", rig.simulation.object_position(n)) for n in names_]
    for marker in rig.newest:
        assert (marker.ns, marker.header.frame_id) == ("front", FRAME)
        at = np.array([marker.pose.position.x, marker.pose.position.y])
        apart = [np.linalg.norm(at - place * 256 / 96) for place in places]
        assert min(apart) < 8.0
        assert len(marker.points) >= 3


def test_a_named_mark_becomes_a_latched_place_with_the_number_of_the_mark(rig):
    rig = rig()
    rig.until(lambda: rig.newest)
    marker = rig.newest[1]
    rig.say("pick the one marked 2")
    rig.until(lambda: rig.points, seeing=False)
    point = point_from_message(rig.points[-1])
    assert (point.number, point.frame_id) == (2, FRAME)
    near = (marker.pose.position.x, marker.pose.position.y)
    assert (point.column, point.row) == pytest.approx(near, abs=1.0)
    late = []
    rig.world.create_subscription(PointStamped, names.INSTRUCTION_POINT, late.append, qos.LATCHED)
    rig.until(lambda: late, seeing=False)


def test_a_mark_that_is_not_there_is_answered_with_nan(rig):
    rig = rig()
    rig.until(lambda: rig.newest)
    rig.say("pick the one marked 9")
    rig.until(lambda: rig.points)
    assert math.isnan(rig.points[-1].point.x)
    assert rig.points[-1].point.z == 9.0


def test_a_node_started_anew_while_the_policy_drives_points_nowhere(rig):
    rig = rig()
    rig.drive("AUTO")
    rig.say("pick the one marked 1")
    rig.spin(0.5)
    rig.until(lambda: rig.points)
    assert math.isnan(rig.points[-1].point.x)
    rig.say("pick the one marked 1")
    rig.until(lambda: not math.isnan(rig.points[-1].point.x))


def test_the_overlay_is_drawn_for_those_who_look_alone(rig):
    rig = rig()
    rig.until(lambda: len(rig.told) >= 2)
    assert not rig.overlays
    rig.watch()
    rig.until(lambda: rig.overlays)
    image = rig.overlays[-1]
    assert (image.width, image.height, image.encoding) == (480, 480, "rgb8")
    assert image.header.frame_id == FRAME


def test_what_another_detector_found_is_marked(rig):
    rig = rig(**{"marks.source": "detections"})

    def detect():
        stamp = rig.see()
        for number, left in enumerate((60.0, 20.0)):
            message = PolygonInstanceStamped()
            message.header.frame_id = FRAME
            message.header.stamp = convert.to_stamp(stamp)
            message.polygon.id = number
            corners = ((left, 20.0), (left + 12.0, 20.0), (left + 12.0, 32.0), (left, 32.0))
            message.polygon.polygon.points = [Point32(x=x, y=y) for x, y in corners]
            rig.detections.publish(message)
        rig.spin(0.05)
        return bool(rig.newest)

    rig.until(detect, seeing=False)
    assert [marker.id for marker in rig.newest] == [1, 2]
    columns = [marker.pose.position.x for marker in rig.newest]
    assert columns == pytest.approx([26.0 * 256 / 96, 66.0 * 256 / 96], abs=2.0)


def test_what_keeps_things_from_being_marked_is_named(rig):
    rig = rig()
    assert "nothing is heard of camera 'front'" in rig.marks.status()[0]
    rig.see(calibrated=False)
    assert "camera 'front' publishes no usable camera_info" in rig.marks.status()[0]
    rig.until(lambda: rig.newest)
    problem, values = rig.marks.status()
    assert problem == ""
    assert values["marks"] == len(rig.newest)


def test_an_area_without_corners_is_refused_in_one_sentence(capfd):
    rclpy.init(args=["--ros-args", "-p", "marks.lower:=[1.0]"])
    node = Marker("perception")
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    said = capfd.readouterr().err
    assert "give the least x and y" in said
    assert "Traceback" not in said
    node.destroy_node()
    rclpy.shutdown()


def test_the_simulated_task_is_about_what_the_named_mark_is_on():
    simulation = Simulation("pick", seed=3)
    order = simulation.from_left("front")
    for number, name in enumerate(order, 1):
        assert sim_node.about(simulation, f"pick the one marked {number}") == name
    for words in ("pick the red cube", "pick the one marked 9", "put mark 1 on mark 2", ""):
        assert sim_node.about(simulation, words) == simulation.target_name
    simulation.close()
