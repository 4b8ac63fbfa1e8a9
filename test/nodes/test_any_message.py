# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No message ends a node: every subscription of every node is fed whatever its type allows."""

import contextlib
import importlib
import inspect
import pkgutil
import re
import time
from unittest.mock import MagicMock

import numpy as np
import pytest
import rclpy
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from magma_ros import nodes
from magma_ros.embedded.wire import codec
from magma_ros.nodes.console_node import ConsoleNode
from magma_ros.nodes.gripper_adapter_node import GripperAdapterNode
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.types import MagmaError

WORDS = (
    *("", "base_link", "world", "tool0", "front_camera_optical", "finger_joint", "left_finger"),
    *("rgb8", "bgr8", "rgba8", "mono8", "16UC1", "jpeg", "png", "trace"),
    *("mode", "reason", "source", "state", "task", "seed", "elapsed", "depth", "slack_ms"),
    *("AUTO", "HOLD", "STARTUP", "SUCCEEDED", "RUNNING", "CONFIDENT", "1", "nan", "-1e400"),
    *("push the red cube", "\x00", "\x1b[2J\r\n", "\u202e\ufeff", "é" * 5000),
)
"""Texts that code may look for, and some that it should not choke on."""

LIMITS = {
    "octet": (0, 255),
    "boolean": (0, 1),
    **{f"{sign}int{bits}": (lo, hi) for bits in (8, 16, 32, 64) for sign, lo, hi in (
        ("", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1), ("u", 0, 2**bits - 1))},
}  # fmt: skip

INF = float("inf")
EXTREME = (0.0, -0.0, 1.0, -1.0, 1e-320, 1e200, 1e30, -1e30, float("nan"), INF, -INF)


def _scalar(kind):
    if kind in ("double", "float"):
        width = 64 if kind == "double" else 32
        extreme = EXTREME if width == 64 else [x for x in EXTREME if x not in (1e-320, 1e200)]
        return st.sampled_from([*extreme, 1.7e308][: None if width == 64 else -1]) | st.floats(
            width=width
        )
    if kind.startswith(("string", "wstring")):
        return st.sampled_from(WORDS) | st.text(max_size=20)
    low, high = LIMITS[kind]
    whole = st.sampled_from([low, high, 0, 1]) | st.integers(low, high)
    return {
        "octet": whole.map(lambda n: bytes([n])),
        "boolean": whole.map(bool),
    }.get(kind, whole)


def _field(kind):
    if match := re.fullmatch(r"sequence<(.+?)(?:, ?\d+)?>", kind):
        if match[1] == "uint8":
            return st.binary(max_size=64)
        return st.lists(_field(match[1]), max_size=4)
    if match := re.fullmatch(r"(.+)\[(\d+)\]", kind):
        return st.lists(_field(match[1]), min_size=int(match[2]), max_size=int(match[2]))
    if "/" in kind:
        package, name = kind.split("/")
        return messages(getattr(importlib.import_module(f"{package}.msg"), name))
    return _scalar(kind)


def messages(kind):
    """Messages of a class with anything in them that it allows; fields may keep their default."""
    fields = kind.get_fields_and_field_types()
    return st.fixed_dictionaries(
        {}, optional={name: _field(field) for name, field in fields.items()}
    ).map(lambda values: kind(**values))


DONE = TransitionCallbackReturn.SUCCESS
EXAMPLES = 30
"""Messages a subscription is fed."""

PARAMETERS = {
    "policy": {"self_test": 0.0, "threads": 1},
    "sim": {"task": "reach", "overview_rate": 0.0},
    "report": {"directory": "report"},
    "console": {"port": 0},
    "latency_probe": {"pictures": "pictures.npz", "record": "record.json"},
}
"""What a node needs besides a robot's file."""

ROBOT = "config/robots/sim.yaml"


def node_classes():
    """Every node of the package."""
    found = []
    for module in pkgutil.iter_modules(nodes.__path__):
        if module.name.endswith("_node") and module.name != "managed_node":
            content = vars(importlib.import_module(f"magma_ros.nodes.{module.name}"))
            found += [
                kind
                for kind in content.values()
                if isinstance(kind, type)
                and issubclass(kind, ManagedNode)
                and kind.__module__.endswith(module.name)
            ]
    return found


@pytest.fixture
def start(tmp_path, monkeypatch, request):
    """Make a node of a class at work in a folder of its own."""
    robot = request.config.rootpath / ROBOT
    monkeypatch.chdir(tmp_path)
    pictures = {"camera/front": np.zeros((1, 8, 8, 3), np.uint8)}
    np.savez("pictures.npz", instruction="reach", position=np.zeros(3), **pictures)
    # The gripper's actions need a real ROS 2, which not every machine has.
    monkeypatch.setattr(GripperAdapterNode, "_open_action", lambda _: (MagicMock(), MagicMock()))
    made = []

    def start(kind):
        name = kind.__module__.rsplit(".", 1)[1].removesuffix("_node")
        chosen = PARAMETERS.get(name, {})
        words = [word for key, value in chosen.items() for word in ("-p", f"{key}:={value}")]
        rclpy.init(args=["--ros-args", "--params-file", str(robot), *words])
        made.append(kind())
        assert made[-1].trigger_configure() == made[-1].trigger_activate() == DONE, (
            f"add what {kind.__name__} needs to PARAMETERS"
        )
        return made[-1]

    yield start
    for node in made:
        node.trigger_shutdown()
        node.destroy_node()
    rclpy.try_shutdown()


def feed(subscription, message):
    """Have a subscription's own callback called; a sentence is all it may answer with."""
    callback = inspect.unwrap(subscription.callback)  # not what shields the node from its mistakes
    data = codec.serialize(message) if subscription.raw else message
    info = [{"source_timestamp": 1, "received_timestamp": 0}] if subscription._wants_info else []
    with contextlib.suppress(MagmaError):
        callback(data, *info)


def as_of_now(node, message):
    """The same garbage, but with a header that will not have it refused at once."""
    if hasattr(message, "header"):
        message.header.stamp = node.get_clock().now().to_msg()
        message.header.frame_id = "base_link"
    return message


def feed_anything(node, subscription):
    @examples(EXAMPLES)
    @given(messages(subscription.msg_type), st.booleans())
    def check(message, recent):
        feed(subscription, as_of_now(node, message) if recent else message)

    check()


@pytest.mark.hypothesis
@pytest.mark.filterwarnings("error:overflow:RuntimeWarning")
@pytest.mark.parametrize("kind", node_classes(), ids=lambda kind: kind.__name__)
def test_no_message_ends_a_node(kind, start):
    node = start(kind)
    if isinstance(node, ConsoleNode):  # which hears a camera only while somebody looks
        node.robot.picture("front")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.spin_once(timeout_sec=0.2)
    for subscription in list(node.subscriptions):
        feed_anything(node, subscription)
        end = time.monotonic() + 0.05
        while time.monotonic() < end:  # what was taken in must not end a timer either
            executor.spin_once(timeout_sec=0.01)
    assert node.working
    assert node.trigger_deactivate() == DONE
