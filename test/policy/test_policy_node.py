# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the policy node hears, decides, draws and tells, over DDS."""

import threading
import time

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from onnx import TensorProto, helper, numpy_helper
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import BatteryState, Image, JointState, Range
from std_msgs.msg import Header, String
from visualization_msgs.msg import ImageMarker

from magma_ros.agent.picture import Picture
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.guard_node import GuardNode
from magma_ros.nodes.policy_node import PolicyNode
from magma_ros.nodes.recorder_node import RecorderNode
from magma_ros.nodes.report_node import ReportNode
from magma_ros.share import share_file
from magma_ros.types import TRACE_MARKS

DONE = TransitionCallbackReturn.SUCCESS
SIZES = {"front": (48, 64), "wrist": (8, 8)}


class Robot:
    """Two cameras, a pose and a gripper; hears what the policy draws and tells."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("robot")
        publisher = self.node.create_publisher
        self._cameras = {
            camera: publisher(Image, names.camera_topic(camera), qos.IMAGES)
            for camera in (*SIZES, "overview")
        }
        self._pose = publisher(PoseStamped, names.EE_POSE, qos.STATE)
        self._joints = publisher(JointState, names.JOINT_STATES, qos.STATE)
        self.clearance = publisher(Range, names.CLEARANCE, qos.IMAGES)
        self.battery = publisher(BatteryState, names.BATTERY, qos.IMAGES)
        publisher(String, names.INSTRUCTION, qos.LATCHED).publish(String(data="push the cube"))
        self.markers: list[ImageMarker] = []
        self.statuses: list[DiagnosticStatus] = []
        hear = self.node.create_subscription
        hear(ImageMarker, names.POLICY_TRACE, self.markers.append, qos.EVENTS)
        hear(DiagnosticStatus, names.POLICY_STATUS, self.statuses.append, qos.EVENTS)
        self.modes: list[DiagnosticStatus] = []
        hear(DiagnosticStatus, names.GUARD_MODE, self.modes.append, qos.LATCHED)
        self.diagnostics: dict[str, DiagnosticStatus] = {}
        hear(DiagnosticArray, names.DIAGNOSTICS, self._on_diagnostics, qos.EVENTS)
        self._parameters = self.node.create_client(SetParameters, "policy/set_parameters")
        self.stamps: list[float] = []

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.diagnostics |= {status.name: status for status in message.status}

    @property
    def last(self) -> dict[str, str]:
        """What was told of the newest plan."""
        return convert.status_values(self.statuses[-1]) if self.statuses else {"reason": "none"}

    def told(self, **values: str) -> bool:
        """Whether the newest plan was told with these values."""
        return values.items() <= self.last.items()

    def ask(self, name: str, value: object) -> rclpy.task.Future:
        """Ask the policy node to change a parameter."""
        assert self._parameters.wait_for_service(timeout_sec=30.0)
        message = Parameter(name, value=value).to_parameter_msg()
        return self._parameters.call_async(SetParameters.Request(parameters=[message]))

    def publish(self) -> None:
        stamp = self.node.get_clock().now().to_msg()
        self.stamps.append(convert.seconds(stamp))
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = stamp, "base_link"
        self._pose.publish(pose)
        self._joints.publish(JointState(header=pose.header, name=["finger_joint"], position=[0.02]))
        rng = np.random.default_rng(len(self.stamps))
        for camera, publisher in self._cameras.items():
            pixels = rng.integers(0, 255, (*SIZES.get(camera, (120, 160)), 3), np.uint8)
            publisher.publish(convert.image_to_message(pixels, f"{camera}_optical", stamp))


@pytest.fixture
def settings():
    """Parameters that a test wants otherwise."""
    return {}


@pytest.fixture
def run(bundle, tmp_path, settings):
    """Run a robot with nodes of the given classes until a condition holds."""
    # The tiny bundle's thoughts are short; the test machine's pauses may not be.
    gripper = {"gripper.joint": "finger_joint", "gripper.open_position": 0.04}
    patience = {"deadline": 5.0, "max_age": 5.0, "policy_timeout": 5.0, "state_timeout": 5.0}
    common = {"bundle": bundle, "directory": tmp_path / "run", "threads": 1, "self_test": 0.0}
    chosen = common | gripper | patience | {"gate": "fixed", "depth": 2} | settings
    words = [word for name, value in chosen.items() for word in ("-p", f"{name}:={value}")]
    robot_file = share_file("config", "robots", "sim.yaml")
    rclpy.init(args=["--ros-args", "--params-file", str(robot_file), *words])
    executor, nodes, robot = SingleThreadedExecutor(), [], Robot()
    executor.add_node(robot.node)

    def start(node_class):
        nodes.append(node_class())
        assert nodes[-1].trigger_configure() == nodes[-1].trigger_activate() == DONE
        executor.add_node(nodes[-1])
        return nodes[-1]

    def until(condition):
        deadline = time.monotonic() + 60.0
        while not condition(robot):
            assert time.monotonic() < deadline, "waited in vain"
            robot.publish()
            end = time.monotonic() + 0.1
            while time.monotonic() < end:
                executor.spin_once(timeout_sec=0.02)
        return robot

    yield start, until
    for node in nodes:
        node.trigger_shutdown()
        node.destroy_node()
    robot.node.destroy_node()
    rclpy.shutdown()


def test_the_trace_arrives_in_pixels_of_the_camera_with_the_stamp_of_what_was_seen(run):
    start, until = run
    policy = start(PolicyNode)
    robot = until(lambda robot: len(robot.markers) >= 4)
    points = len(policy._mind._policy.manifest.trace.times)
    for marker, mark in zip(robot.markers, [*TRACE_MARKS] * 2, strict=False):
        name, path = convert.path_from_marker(marker)
        assert name == mark
        assert path.shape == (points, 2)
        # The tiny bundle draws inside the image, which is smaller than the grid.
        assert (path > 0.0).all()
        assert (path < SIZES["front"][::-1]).all()
        assert marker.header.frame_id == "front_optical"
        stamp = convert.seconds(marker.header.stamp)
        assert min(abs(stamp - sent) for sent in robot.stamps) < 1e-5


def test_what_was_seen_before_the_node_was_active_is_not_planned(run):
    start, until = run
    policy = start(PolicyNode)
    robot = until(lambda robot: robot.markers)
    assert policy.trigger_deactivate() == DONE
    settled = len(robot.stamps) + 10
    until(lambda robot: len(robot.stamps) >= settled)  # until what was planned before has arrived
    for _ in range(3):  # these wait in the queue, because nothing spins
        robot.publish()
        time.sleep(0.1)
    planned = len(robot.markers)
    active_from = convert.seconds(policy.get_clock().now().to_msg())
    assert policy.trigger_activate() == DONE
    until(lambda robot: len(robot.markers) >= planned + 2)
    assert all(
        convert.seconds(marker.header.stamp) > active_from for marker in robot.markers[planned:]
    )


def test_pictures_are_decoded_on_the_thinking_thread_alone(run, monkeypatch):
    threads, whole = set(), Picture.pixels

    def pixels(picture, *size):
        threads.add(threading.current_thread().name)
        return whole(picture, *size)

    monkeypatch.setattr(Picture, "pixels", pixels)
    start, until = run
    start(PolicyNode)
    until(lambda robot: len(robot.statuses) >= 3 and robot.markers)
    assert threads == {"thinking"}


def test_a_policy_that_draws_nothing_publishes_no_trace(run, edit_manifest, edit_stage):
    def forget(content):
        del content["trace"]
        for index in (1, 4):
            content["stages"][index]["outputs"].pop()

    for index in (1, 4):
        edit_stage(index, lambda model: model.graph.output.pop())
    edit_manifest(forget)
    start, until = run
    start(PolicyNode)
    robot = until(lambda robot: len(robot.statuses) >= 3)
    assert {status.level for status in robot.statuses} == {DiagnosticStatus.OK}
    assert not robot.markers


def test_the_trace_is_recorded_and_shown_in_the_clip(run, tmp_path):
    start, until = run
    report, recorder = start(ReportNode), start(RecorderNode)
    start(PolicyNode)
    until(lambda _: len(report._record.views) >= 4 and len(report._record.frames) >= 4)
    _, view = report._record.views[-1]
    assert view.image.shape == (48, 64, 3)
    assert set(view.paths) == set(TRACE_MARKS)
    assert recorder.trigger_deactivate() == DONE
    with AnyReader([tmp_path / "run" / "episode_0"]) as bag:
        (connection,) = [c for c in bag.connections if c.topic == "/policy/trace"]
        assert connection.msgtype == "visualization_msgs/msg/ImageMarker"
        _, _, data = next(bag.messages([connection]))
        message = bag.deserialize(data, connection.msgtype)
        assert message.ns == "trace"
        assert len(message.points) == 3
    report._end()  # as the task's outcome does
    assert report.trigger_deactivate() == DONE
    assert (tmp_path / "run" / "clip.gif").stat().st_size > 0


@pytest.mark.parametrize("settings", [{"gate": "adaptive"}])
def test_the_threshold_is_the_calibrated_one_until_a_parameter_says_otherwise(run, calibrated):
    calibrated(probability=0.8)
    start, until = run
    start(PolicyNode)
    until(lambda robot: robot.told(reason="CONFIDENT", depth="1", probability="0.8"))
    robot = until(lambda robot: len(robot.statuses) >= 2)
    answer = robot.ask("threshold", 0.9)
    until(lambda robot: robot.told(reason="DEEPEST", depth="3"))
    assert answer.result().results[0].successful
    robot.ask("threshold", 0.0)
    until(lambda robot: robot.told(reason="CONFIDENT", depth="1"))


@pytest.mark.parametrize("settings", [{"gate": "regret"}])
def test_the_price_is_the_calibrated_one_until_a_parameter_says_otherwise(run, calibrated):
    calibrated(probability=0.8, loss=0.02)
    start, until = run
    start(PolicyNode)
    until(lambda robot: robot.told(reason="CONFIDENT", depth="1"))
    robot = until(lambda robot: len(robot.statuses) >= 2)
    robot.ask("price", 0.03)
    until(lambda robot: robot.told(reason="DEEPEST", depth="3"))
    robot.ask("price", 0.0)
    until(lambda robot: robot.told(reason="CONFIDENT", depth="1"))


@pytest.mark.parametrize("settings", [{"gate": "regret"}])
def test_a_gate_by_regret_is_refused_where_none_was_learnt(run, calibrated, capfd):
    calibrated(probability=0.8)
    node = PolicyNode()
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    said = capfd.readouterr().err
    assert "run magma calibrate, then magma calibrate --budget" in said
    assert "Traceback" not in said
    node.destroy_node()


def test_a_gate_file_of_another_bundle_is_refused_in_one_sentence(
    run, calibrated, edit_manifest, capfd
):
    calibrated(probability=0.8)
    edit_manifest(lambda content: content.update(description="Another one."))
    node = PolicyNode()
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    said = capfd.readouterr().err
    assert "was made for a bundle with checksum" in said
    assert "run magma calibrate again" in said
    assert "Traceback" not in said
    node.destroy_node()


def test_actions_in_another_frame_than_the_robots_base_are_refused(run, edit_manifest, capfd):
    edit_manifest(lambda content: content["action"].update(frame="gripper_camera_optical"))
    node = PolicyNode()
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    said = capfd.readouterr().err
    assert "action.frame is 'gripper_camera_optical'" in said
    assert "Traceback" not in said
    node.destroy_node()


@pytest.mark.parametrize("settings", [{"depth": 3}])
def test_parameters_take_effect_on_the_next_plan(run):
    start, until = run
    start(PolicyNode)
    robot = until(lambda robot: robot.told(reason="CONFIDENT", depth="3"))
    robot.ask("deepest", 2)
    until(lambda robot: robot.told(reason="CAPPED", depth="2"))
    robot.ask("depth", 1)
    until(lambda robot: robot.told(reason="CONFIDENT", depth="1"))
    robot.ask("deadline", 0.005)
    until(lambda robot: float(robot.last["slack_ms"]) < 5.0)
    refused = robot.ask("threads", 4)
    until(lambda _: refused.done())
    assert not refused.result().results[0].successful


@pytest.mark.parametrize("settings", [{"depth": 3}])
def test_battery_and_clearance_become_energy_and_risk(run):
    start, until = run
    start(PolicyNode)
    until(lambda robot: robot.told(depth="3", energy="1", risk="0"))

    def low(robot):
        robot.battery.publish(BatteryState(percentage=0.125))
        stamp = robot.node.get_clock().now().to_msg()
        robot.clearance.publish(Range(header=Header(stamp=stamp), range=0.0))
        return robot.told(reason="CAPPED", depth="1", energy="0.125", risk="1")

    until(low)


@pytest.mark.parametrize("settings", [{"self_test": 0.05}])
def test_forecasts_are_tried_before_the_first_plan_and_told_with_every_one(run):
    start, until = run
    policy = start(PolicyNode)
    assert policy._mind.outlook.accuracy.runs > 0
    robot = until(lambda robot: {"policy", "policy: latency"} <= robot.diagnostics.keys())
    plan, latency = (robot.diagnostics[name] for name in ("policy", "policy: latency"))
    assert plan.hardware_id == latency.hardware_id == "tiny"
    assert {"slack_ms", "forecast_ms", "typical_ms", "overruns"} <= {v.key for v in plan.values}
    told = {value.key for value in latency.values}
    assert {"think_1_p50_ms", "think_3_p99_ms", "forecast_coverage", "late"} <= told


def long_unless_blank(model) -> None:
    """Make a stage with two inputs take a fifth of a second or longer, but not in rehearsal."""
    size, turns = 512, 400
    graph = model.graph
    first, *rest = graph.node
    rest[0].input[0] = "dragged"
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("MatMul", ["before", "turn"], ["after"]),
        ],
        "spin",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, ()),
            helper.make_tensor_value_info("go", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, (size, size)),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, (size, size)),
        ],
    )
    drag = [
        helper.make_node("Abs", ["total"], ["sizes"]),
        helper.make_node("ReduceMax", ["sizes"], ["greatest"], keepdims=0),
        helper.make_node("Greater", ["greatest", "nothing"], ["seen"]),
        helper.make_node("Cast", ["seen"], ["one"], to=TensorProto.INT64),
        helper.make_node("Mul", ["one", "turns"], ["trips"]),
        helper.make_node("Loop", ["trips", "", "turn"], ["turned"], body=body),
        helper.make_node("ReduceMean", ["turned"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["trifle"]),
        helper.make_node("Add", ["total", "trifle"], ["dragged"]),
    ]
    graph.initializer.extend(
        numpy_helper.from_array(value, name)
        for name, value in {
            "turn": np.eye(size, dtype=np.float32),
            "turns": np.array(turns, np.int64),
            "nothing": np.array(1e-6, np.float32),
        }.items()
    )
    del graph.node[:]
    graph.node.extend([first, *drag, *rest])


@pytest.mark.parametrize("settings", [{"self_test": 0.05, "deadline": 0.1, "depth": 3}])
def test_when_a_stage_overruns_the_answer_in_hand_is_acted_on(run, edit_stage):
    edit_stage(4, long_unless_blank)
    start, until = run
    policy = start(PolicyNode)
    robot = until(lambda robot: robot.told(reason="OVERRUN"))
    told = robot.last
    assert (told["depth"], told["overruns"]) == ("2", "1")
    assert not policy._thinker.idle, "the stage must still be running when its answer is dropped"
    enough = int(told["plans"]) + 12
    until(lambda robot: int(robot.last["plans"]) >= enough)
    assert int(robot.last["skipped"]) > 0
    # One slow run may be a hiccup and is tried again; two are believed.
    assert int(robot.last["overruns"]) <= 3, "the forecast must learn how long the stage takes"


@pytest.mark.parametrize(
    "settings",
    [{"gate": "adaptive", "tolerance": 0.001, "help_after": 0.3}],
)
def test_a_policy_that_stays_unsure_makes_the_guard_hold_and_say_why(run):
    start, until = run
    guard = start(GuardNode)
    start(PolicyNode)
    until(lambda _: guard._core.hand_back(time.monotonic()).accepted)
    robot = until(lambda robot: convert.status_values(robot.modes[-1])["mode"] == "AUTO")
    robot = until(lambda robot: convert.status_values(robot.modes[-1])["mode"] == "HOLD")
    assert convert.status_values(robot.modes[-1])["reason"] == "HELP_REQUESTED"
    assert robot.modes[-1].message.startswith("The policy is unsure and asks for help. Its deepest")


@pytest.fixture
def token_bundle(settings, tmp_path):
    """A bundle of Magma-8B's layout with random weights and three exits, for ``run``."""
    from magma_ros.models.magma.export import import_checkpoint
    from magma_ros.models.magma.export_target import Target
    from magma_ros.models.magma.reader import Checkpoint
    from magma_ros.models.magma.synthetic import write_checkpoint

    write_checkpoint(tmp_path / "checkpoint")
    target = Target(height=48, width=48, exits=(1, 2))
    made = import_checkpoint(Checkpoint.open(tmp_path / "checkpoint"), tmp_path / "made", target)
    settings |= {"bundle": made, "gate": "adaptive"}


def test_the_adaptive_gate_drives_a_policy_that_decodes_its_actions(token_bundle, run):
    start, until = run
    start(PolicyNode)
    robot = until(lambda robot: len(robot.statuses) >= 5 and robot.told(reason="DEEPEST"))
    assert {status.level for status in robot.statuses} == {DiagnosticStatus.OK}
    assert robot.last["depth"] == "3"
