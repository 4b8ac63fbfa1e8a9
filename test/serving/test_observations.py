# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages become observations, or get a sentence that says what to send."""

import tracemalloc

import numpy as np
import pytest

from magma_ros.cli.wire_bench import _read
from magma_ros.policy.contract import CameraContract, ObservationContract
from magma_ros.remote import fuzz
from magma_ros.remote.wire import WireError, pack
from magma_ros.serving.observations import read_observation
from magma_ros.types import MagmaError

CONTRACT = ObservationContract(
    cameras=[
        CameraContract(name="front", height=8, width=8),
        CameraContract(name="wrist", height=8, width=8),
        CameraContract(name="far", height=8, width=8, kind="depth"),
    ],
    proprioception=["ee_x", "ee_y"],
    max_tokens=12,
)
WHOLE = {
    "images": {"front": np.zeros((8, 8, 3), np.uint8), "wrist": np.ones((8, 8, 3), np.uint8)},
    "depths": {"far": np.ones((8, 8), np.float32)},
    "state": [0.1, 0.2],
    "prompt": "push",
}


def test_names_of_the_contract_and_of_openpi_and_lerobot_give_the_same():
    ours = read_observation(WHOLE, CONTRACT, 3.0)
    flat = {
        "observation.images.front": WHOLE["images"]["front"],
        "observation/wrist_image": WHOLE["images"]["wrist"],
        "depths": WHOLE["depths"],
        "ee_x": 0.1,
        "ee_y": np.float32(0.2),
        "task": "push",
    }
    theirs = read_observation(flat, CONTRACT, 3.0)
    np.testing.assert_array_equal(ours.images["wrist"], theirs.images["wrist"])
    np.testing.assert_allclose(ours.proprioception, theirs.proprioception, atol=1e-7)
    assert (ours.instruction, ours.fields, ours.stamp) == ("push", ("ee_x", "ee_y"), 3.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": {}}, "no picture of camera front; send images/front"),
        ({"images": {}, "two\nlines": 1}, r"two\?lines"),
        ({"images": 3}, "must be a map"),
        ({"images": {"front": np.zeros((8, 8), np.uint8)}}, "must be .height, width, 3"),
        ({"images": {"front": np.zeros((8, 8, 4), np.uint8)}}, "must be RGB"),
        ({"images": {"front": np.full((8, 8, 3), 2.0)}}, "beyond 0 to 1"),
        ({"images": {"front": np.full((8, 8, 3), np.nan)}}, "beyond 0 to 1"),
        ({"images": {"front": b"no jpeg"}}, "JPEG is damaged"),
        ({"depths": {}}, "no depth image of camera far"),
        ({"state": [1.0]}, "has 1 entries, but the policy takes ee_x, ee_y"),
        ({"state": [1.0, float("inf")]}, "not finite"),
        ({"state": ["a", "b"]}, "list of numbers"),
        ({"state": np.zeros((2, 1))}, "list of numbers"),
        ({"prompt": 4}, "no instruction; send prompt"),
        ({"point": [1.0]}, "a column and a row"),
    ],
)
def test_what_is_missing_or_wrong_is_named(change, says):
    with pytest.raises(WireError, match=says) as error:
        read_observation(WHOLE | change, CONTRACT, 0.0)
    assert "\n" not in str(error.value)


def test_thousands_of_malformed_frames_are_read_or_refused_in_bounded_memory():
    sentences = []
    tracemalloc.start()
    for frame in fuzz.frames(pack(WHOLE), 3000, seed=2):
        try:
            _read(frame, CONTRACT)
        except MagmaError as error:
            sentences.append(str(error))
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()
    assert len(sentences) > 2000
    assert not [sentence for sentence in sentences if "\n" in sentence or len(sentence) > 400]
