# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of a policy elsewhere is whole and fits the bundle, or it is refused."""

import re
from pathlib import Path

import pytest
import yaml

from magma_ros.policy.contract import CameraContract, ObservationContract
from magma_ros.policy.manifest import read_manifest
from magma_ros.remote.error import RemoteError
from magma_ros.remote.remote_file import (
    RemoteFile,
    both,
    contract_of,
    find_remote_file,
    read_remote_file,
)
from magma_ros.share import find_bundle

DOCS = Path(__file__).parents[2] / "docs" / "remote.md"


def written(folder, content):
    (folder / "remote.yaml").write_text(yaml.safe_dump(content))
    return folder / "remote.yaml"


@pytest.fixture(scope="module")
def manifest():
    return read_manifest(find_bundle("magma-nano"))


def test_without_a_file_the_policy_elsewhere_takes_and_gives_the_same(manifest, tmp_path):
    assert find_remote_file(tmp_path) is None
    contract = contract_of(None, manifest)
    assert contract.observation is manifest.observation
    assert contract.expected.action is manifest.action
    assert contract.expected.depth == manifest.exits + 1


def test_the_example_of_the_docs_is_one(manifest, tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "remote.yaml").write_text(example)
    file = find_remote_file(tmp_path)
    contract = contract_of(file, manifest)
    assert contract.keys.image("wrist") == "observation/wrist_image"
    assert contract.observation.cameras[0].height == 224
    assert contract_of(file, None).expected.depth == 1


def test_a_policy_alone_must_say_what_it_takes_and_gives():
    with pytest.raises(RemoteError, match=r"remote\.contract"):
        contract_of(None, None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"adress": "x"}, "unknown field adress"),
        ({"encoding": "png"}, "encoding"),
        ({"schema_version": 2}, "schema_version"),
        ({"keys": {"images": "front"}}, "keys.images"),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(tmp_path, content, says):
    with pytest.raises(RemoteError, match=re.escape(says)):
        read_remote_file(written(tmp_path, content))


def test_plans_of_another_action_space_cannot_follow_those_of_the_bundle(manifest):
    action = manifest.action.model_copy(update={"frame": "tool0"})
    action = type(action).model_validate(action.model_dump())
    with pytest.raises(RemoteError, match="take a policy of the same action space"):
        contract_of(RemoteFile(action=action), manifest)


def test_what_either_policy_takes_is_observed_and_as_large_as_the_larger():
    def taken(values, **cameras):
        named = tuple(
            CameraContract(name=name, height=size, width=size) for name, size in cameras.items()
        )
        return ObservationContract(cameras=named, proprioception=values, max_tokens=12)

    here, there = taken(("ee_x",), front=96, wrist=64), taken(("ee_x", "ee_y"), front=224, side=128)
    seen = both(here, there)
    assert {camera.name: camera.height for camera in seen.cameras} == {
        "front": 224,
        "wrist": 64,
        "side": 128,
    }
    assert seen.proprioception == ("ee_x", "ee_y")
    depth = there.model_copy(
        update={"cameras": (CameraContract(name="front", height=9, width=9, kind="depth"),)}
    )
    with pytest.raises(RemoteError, match="camera front"):
        both(here, depth)
