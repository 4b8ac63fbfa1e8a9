# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A LeRobot data set of joints: which columns are learned, in which units, and what is refused."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from magma_ros.types import MagmaError


@pytest.fixture
def joints(needs, tmp_path):
    """Write a data set of joints, and read it as a recipe does."""
    needs("train", "lerobot")
    from magma_ros.models.data.config import DataConfig
    from magma_ros.models.data.sets import read_set, spaced, words_of
    from magma_ros.models.data.words import make_tokenizer
    from magma_ros.models.network.config import NetworkConfig

    parts = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "joint_set.py")))

    def read(*, kind=parts.JointSet, data=None, network=None, leave_out=(), **settings):
        folder = kind(tmp_path / "set", **settings).write()
        content = parts.network(**(network or {}))
        shape = NetworkConfig.model_validate(
            {name: value for name, value in content.items() if name not in leave_out}
        )
        shape = spaced(shape, folder)
        asked = DataConfig.model_validate(parts.data(folder, **(data or {})))
        words = words_of(folder, skip_damaged=asked.skip_damaged)
        return shape, read_set(asked, shape, make_tokenizer(words))

    return SimpleNamespace(**vars(parts), read=read)


def test_joints_are_learned_in_radians_by_name_and_the_gripper_by_its_ends(joints):
    shape, data = joints.read()
    assert shape.action.space.joints == tuple(reversed(joints.JOINTS))
    np.testing.assert_allclose(data.actions[11, 1:], joints.GOAL[::-1], atol=1e-6)
    np.testing.assert_allclose(data.actions[[0, 11], 0], [100 * 11 / 12, 0.0], atol=1e-4)
    here = np.array(joints.GOAL) - np.array(joints.MOVED)
    np.testing.assert_allclose(data.proprioception[0], [*here, 1.0], atol=1e-6)


@pytest.fixture
def jaw(joints):
    """Read the set with a gripper of another name in the action, and one of any in the state."""

    def read(state):
        dims = [joints.SPACE["dims"][0] | {"name": "jaw"}, *joints.SPACE["dims"][1:]]
        measured = [*joints.NAMES["observation.state"][:-1], state]
        names = {"observation.state": measured, "action": ["jaw.pos", *joints.NAMES["action"][1:]]}
        return joints.read(names=names, network={"action": joints.SPACE | {"dims": dims}})[1]

    return read


def test_a_gripper_of_another_name_is_measured_by_how_open_it_is(jaw):
    data = jaw("jaw.pos")
    np.testing.assert_allclose(data.proprioception[[0, 6], 5], [1.0, 0.5], atol=1e-6)


def test_several_grippers_are_measured_each_by_its_own_ends(joints):
    claw = {"name": "claw", "open": joints.JOINTS.index("wrist_roll"), "closed": 100.0}
    dims = [*joints.SPACE["dims"][:1], claw, *joints.SPACE["dims"][2:]]
    names = {
        key: [n.replace("wrist_roll", "claw") for n in found] for key, found in joints.NAMES.items()
    }
    measured = [f"{joint}.position" for joint in joints.JOINTS[:-1]]
    measured += ["claw_opening", "gripper_opening"]
    network = {"action": joints.SPACE | {"dims": dims}, "proprioception": measured}
    shape, data = joints.read(names=names, network=network)
    assert shape.action.space.grippers == (0, 1)
    rolled = np.degrees(joints.GOAL[4] - joints.MOVED[4])
    opening = (100.0 - rolled) / (100.0 - claw["open"])
    np.testing.assert_allclose(data.proprioception[0, 4:], [opening, 1.0], atol=1e-5)


def test_what_is_measured_by_its_opening_is_a_gripper_of_the_action():
    from magma_ros.models.data.set_columns import space_of

    names, fields = ("elbow", "left_gripper"), ("elbow.position", "left_gripper_opening")
    space = space_of(Path("set"), names, fields).space
    assert (space.joints, space.grippers) == (("elbow",), (1,))


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("jaw.vel", r"the state has jaw\.vel, but of a gripper a robot measures only how open"),
        (
            "gripper.pos",
            "has the gripper gripper, but the action moves jaw; name it in",
        ),
    ],
)
def test_what_a_robot_cannot_measure_of_grippers_is_refused(jaw, state, sentence):
    with pytest.raises(MagmaError, match=sentence):
        jaw(state)


def test_a_gripper_in_units_that_nothing_tells_of_is_refused(joints):
    names = [f"{joint}.pos" for joint in joints.JOINTS]
    with pytest.raises(MagmaError, match=r"gripper\.pos goes from 8.* to 100, and not from 0 to 1"):
        joints.read(names=joints.NAMES | {"action": names}, leave_out=("action",))


def test_joints_that_are_measured_alone_are_in_radians_too(joints):
    names = joints.NAMES | {"action": joints.NAMES["action"][:2]}
    dims = joints.SPACE["dims"][:2]
    _, data = joints.read(names=names, network={"action": joints.SPACE | {"dims": dims}})
    here = np.array(joints.GOAL) - np.array(joints.MOVED)
    np.testing.assert_allclose(data.proprioception[0], [*here, 1.0], atol=1e-6)


def test_a_recipe_without_a_space_takes_that_of_the_data_set(joints):
    names = {key: [f"{joint}.pos" for joint in joints.JOINTS] for key in joints.NAMES}
    measured = {"proprioception": [f"{joint}.position" for joint in joints.JOINTS]}
    shape, data = joints.read(names=names, network=measured, leave_out=("action",))
    assert shape.action.kind == "joint_position"
    assert shape.action.space.names == joints.JOINTS
    assert shape.action.mask == (True,) * 5
    assert data.actions.shape == (36, 5)


def test_columns_in_the_order_of_the_network_come_whatever_their_order_in_the_set(joints):
    dims = [*joints.SPACE["dims"][1:], joints.SPACE["dims"][0]]
    _, data = joints.read(network={"action": joints.SPACE | {"dims": dims[::-1]}})
    first = data.actions[11]
    assert np.allclose(first[1:], joints.GOAL, atol=1e-6)


def test_pictures_of_another_size_than_the_sets_description_are_read(joints):
    shape = {"dtype": "video", "shape": [480, 640, 3], "names": ["height", "width", "channel"]}

    class Elsewhere(joints.JointSet):
        def features(self):
            return super().features() | {self.camera: shape}

    _, data = joints.read(kind=Elsewhere)
    assert data.images["front"][0].shape == (36, 16, 16, 3)
    assert abs(int(data.images["front"][0][0].mean()) - 20) < 6


def test_episodes_that_are_damaged_are_left_out_where_the_recipe_says_so(joints):
    _, data = joints.read(changed={"timestamp": slower}, data={"skip_damaged": True})
    assert len(data) == 24


def test_a_joint_that_never_moves_is_held_within_a_milliradian(joints):
    from magma_ros.models.data.statistics import Statistics

    shape, data = joints.read()
    found = Statistics.of(data.actions, data.proprioception, shape.action.mask)
    (pan,) = found.still
    assert shape.action.space.names[pan] == "shoulder_pan"
    assert found.q01[pan] == pytest.approx(joints.GOAL[0] - 1e-3, abs=1e-6)
    assert found.q99[pan] == pytest.approx(joints.GOAL[0] + 1e-3, abs=1e-6)


def spoilt(row, column, value):
    """Change one number of the second episode."""

    def change(episode, values):
        values = values.copy()
        if episode == 1:
            values[row, column] = value
        return values

    return change


def slower(episode, times):
    return 2.0 * times if episode == 1 else times


def empty(episode, values):
    return values[:0] if episode == 1 else values


COLUMNS = ("observation.state", "action", "timestamp")
COLUMNS += ("frame_index", "episode_index", "index", "task_index")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"changed": {"action": spoilt(4, 2, np.nan)}},
            "episode 1: action is not finite from row 4",
        ),
        (
            {"changed": {"timestamp": slower}},
            "episode 1: its timestamps are 0.2 s apart.*not 10 Hz",
        ),
        (
            {"changed": dict.fromkeys(COLUMNS, empty)},
            "episode 1: it has 0 rows where the list says",
        ),
        ({"info": {"total_episodes": 5}}, "episodes 3 to 4: it is not in the list of episodes"),
        ({"data": {"rate": 30}}, r"has 10 rows a second; set data\.rate"),
        (
            {"network": {"proprioception": ["elbow.position"]}},
            "proprioception must be what .*elbow",
        ),
        ({"leave_out": ("action",)}, "gripper goes from .* to .*what means open and what closed"),
        ({"lacks": "elbow"}, "the action has elbow too, which network.action does not name"),
        ({"asks": "rail"}, "the action has no rail; the data set's are gripper, wrist_roll"),
    ],
)
def test_what_cannot_be_learned_is_one_sentence(joints, change, sentence):
    dims = [dict(dim) for dim in joints.SPACE["dims"]]
    if lacking := change.pop("lacks", None):
        dims = [dim for dim in dims if dim["name"] != lacking]
    if asked := change.pop("asks", None):
        dims.append({"name": asked, "unit": "m"})
    network = {"action": joints.SPACE | {"dims": dims}} | change.pop("network", {})
    with pytest.raises(MagmaError, match=sentence) as error:
        joints.read(network=network, **change)
    assert "\n" not in str(error.value)


def test_unnamed_entries_take_the_names_of_the_recipe(joints):
    numbers = {"observation.state": [], "action": []}

    class Unnamed(joints.JointSet):
        def features(self):
            found = super().features()
            return found | {name: found[name] | {"names": None} for name in numbers}

    _, data = joints.read(kind=Unnamed)
    np.testing.assert_allclose(data.actions[11, 1:], joints.GOAL[::-1], atol=1e-6)
    here = np.array(joints.GOAL) - np.array(joints.MOVED)
    np.testing.assert_allclose(data.proprioception[0], [*here, 1.0], atol=1e-6)


def test_unnamed_entries_of_which_the_recipe_says_nothing_are_refused(joints):
    class Unnamed(joints.JointSet):
        def features(self):
            found = super().features()
            return found | {"action": found["action"] | {"names": None}}

    with pytest.raises(MagmaError, match="action's 6 entries have no names; give them"):
        joints.read(kind=Unnamed, leave_out=("action",))


def test_a_space_of_empty_limits_is_refused_with_the_recipe(joints):
    from magma_ros.models.network.space import SpaceConfig

    elbow = {"name": "elbow", "unit": "rad", "low": 1.0, "high": 1.0}
    with pytest.raises(ValidationError, match="elbow"):
        SpaceConfig.model_validate({"kind": "joint_position", "dims": [elbow]})
