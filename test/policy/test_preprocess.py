# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What enters the graphs is exactly what they expect; anything else is one clear sentence."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from magma_ros.policy.bundle import open_tokenizer
from magma_ros.policy.manifest import read_manifest
from magma_ros.policy.preprocess import ObservationError, Preprocessor


def preprocessor(bundle):
    manifest = read_manifest(bundle)
    return Preprocessor(manifest.observation, open_tokenizer(bundle, manifest.tokenizer))


@pytest.fixture
def preprocess(pristine_bundle):
    return preprocessor(pristine_bundle)


@pytest.mark.parametrize("bundle_fixture", ["pristine_bundle", "pointing_bundle"])
def test_inputs_have_the_promised_names_dtypes_and_shapes(bundle_fixture, observation, request):
    folder = request.getfixturevalue(bundle_fixture)
    inputs = preprocessor(folder)(observation)
    promised = read_manifest(folder).observation.tensors()
    assert {name: (str(a.dtype), a.shape) for name, a in inputs.items()} == {
        tensor.name: (tensor.dtype, tensor.shape) for tensor in promised
    }


def test_a_point_on_magmas_grid_becomes_shares_of_the_image(pointing_bundle, observation):
    preprocess = preprocessor(pointing_bundle)
    pointed = preprocess(replace(observation, point=(64.0, 192.0)))["point"]
    np.testing.assert_array_equal(pointed, np.array([[0.25, 0.75, 1.0]], np.float32))
    np.testing.assert_array_equal(preprocess(observation)["point"], np.zeros((1, 3), np.float32))


@pytest.mark.parametrize(
    "point", [(np.nan, 3.0), (3.0, np.inf), (-0.1, 3.0), (3.0, 256.5), (1e300, 1.0)]
)
def test_a_point_off_the_grid_is_refused_in_one_sentence(pointing_bundle, observation, point):
    with pytest.raises(ObservationError, match="does not lie on the 256 x 256 grid"):
        preprocessor(pointing_bundle)(replace(observation, point=point))


def test_a_point_is_refused_by_a_policy_that_takes_none(preprocess, observation):
    with pytest.raises(ObservationError, match="takes no marks; name the object"):
        preprocess(replace(observation, point=(3.0, 3.0)))


def test_an_image_of_the_right_size_is_left_as_it_is(preprocess, observation):
    np.testing.assert_array_equal(
        preprocess(observation)["image_wrist"][0], observation.images["wrist"]
    )


def test_a_larger_image_is_averaged_over_areas(preprocess, observation):
    expected = cv2.resize(observation.images["front"], (16, 12), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(preprocess(observation)["image_front"][0], expected)


def test_an_image_need_not_be_contiguous(preprocess, observation):
    mirrored = {**observation.images, "front": observation.images["front"][:, ::-1]}
    image = preprocess(replace(observation, images=mirrored))["image_front"][0]
    np.testing.assert_array_equal(image, preprocess(observation)["image_front"][0][:, ::-1])


def test_proprioception_is_picked_by_name(preprocess, observation):
    np.testing.assert_allclose(preprocess(observation)["proprioception"], [[0.2, 0.3, 0.9]])


def test_words_become_padded_tokens(preprocess):
    assert preprocess.tokens("Push the red MUG").tolist() == [[3, 5, 6, 1, 0, 0, 0, 0]]


def test_an_instruction_is_tokenised_once(preprocess):
    first = preprocess.tokens("push the cube")
    assert preprocess.tokens("push the cube") is first
    assert preprocess.tokens("pick the cube") is not first


@pytest.mark.parametrize(
    ("instruction", "phrase"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("push " * 2000, "10000 characters"),
        ("xylophone quux", "knows for example blue"),
        ("??", "knows no word"),
        ("push the red cube to the green zone to the", "10 tokens"),
    ],
)
def test_a_useless_instruction_is_refused_in_one_sentence(
    preprocess, observation, instruction, phrase
):
    preprocess(observation)
    for _ in range(2):  # the second time, nothing half-made may have been kept
        with pytest.raises(ObservationError, match=phrase) as caught:
            preprocess(replace(observation, instruction=instruction))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((12, 16, 3), np.float32),
        np.zeros((12, 16), np.uint8),
        np.zeros((12, 16, 4), np.uint8),
        np.zeros((0, 16, 3), np.uint8),
        np.zeros((12, 0, 3), np.uint8),
        np.zeros((1, 12, 16, 3), np.uint8),
    ],
    ids=lambda image: f"{image.dtype}{list(image.shape)}",
)
def test_a_malformed_image_is_refused_in_one_sentence(preprocess, observation, image):
    images = {**observation.images, "front": image}
    with pytest.raises(ObservationError, match="image from camera front is"):
        preprocess(replace(observation, images=images))


def test_a_missing_camera_is_named(preprocess, observation):
    images = {"front": observation.images["front"]}
    with pytest.raises(ObservationError, match=r"camera wrist, .*given: front"):
        preprocess(replace(observation, images=images))


def test_a_missing_field_is_named(preprocess, observation):
    blind = replace(observation, proprioception=np.zeros(1), fields=("ee_x",))
    with pytest.raises(ObservationError, match="lacks ee_y, gripper_opening"):
        preprocess(blind)


def test_values_without_names_are_refused(preprocess, observation):
    with pytest.raises(ObservationError, match="4 fields are named"):
        preprocess(replace(observation, proprioception=np.zeros(5)))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_state_that_is_not_finite_is_refused_but_only_where_it_is_used(
    preprocess, observation, value
):
    unused = replace(observation, proprioception=np.array([0.9, 0.3, 0.2, value]))
    preprocess(unused)
    used = replace(observation, proprioception=np.array([0.9, value, 0.2, 0.1]))
    with pytest.raises(ObservationError, match="not finite in ee_y"):
        preprocess(used)


def test_a_letterboxed_image_keeps_its_proportions_between_black_bars(pristine_bundle, observation):
    contract = read_manifest(pristine_bundle).observation
    front, *others = contract.cameras
    boxed = front.model_copy(update={"fit": "letterbox", "height": 12, "width": 16})
    alone = contract.model_copy(update={"cameras": (boxed, *others), "max_tokens": None})
    wide = np.full((20, 80, 3), 200, np.uint8)
    shown = replace(observation, images={**observation.images, "front": wide})
    image = Preprocessor(alone)(shown)["image_front"][0]
    assert image.shape == (12, 16, 3)
    assert (image[4:8] == 200).all()
    assert not image[:4].any()
    assert not image[8:].any()


def test_a_policy_that_does_one_thing_is_told_nothing(pristine_bundle, observation):
    contract = read_manifest(pristine_bundle).observation
    mute = contract.model_copy(update={"max_tokens": None})
    assert "tokens" not in Preprocessor(mute)(replace(observation, instruction=""))


def test_the_attention_mask_tells_words_from_padding(pristine_bundle, observation):
    manifest = read_manifest(pristine_bundle)
    contract = manifest.observation.model_copy(update={"attention_mask": True})
    assert [t.name for t in contract.tensors()][-2:] == ["tokens", "attention_mask"]
    tokenizer = open_tokenizer(pristine_bundle, manifest.tokenizer)
    preprocess = Preprocessor(contract, tokenizer)
    for words, count in (("pick the red cube", 4), ("push", 1)):
        mask = preprocess(replace(observation, instruction=words))["attention_mask"]
        np.testing.assert_array_equal(mask, [[1] * count + [0] * (8 - count)])
        assert mask.dtype == np.int64


def seeing(pristine_bundle, **changes):
    contract = read_manifest(pristine_bundle).observation
    front, *others = contract.cameras
    front = front.model_copy(update=changes)
    return contract.model_copy(update={"cameras": (front, *others), "max_tokens": None})


def test_distances_are_not_mixed_and_unknown_ones_are_zero(pristine_bundle, observation):
    contract = seeing(pristine_bundle, kind="depth", fit="letterbox", height=4, width=8)
    depth = np.full((8, 8), 1.5, np.float32)
    depth[:, 4:] = 3.0
    depth[0, 0], depth[-1, -1] = np.nan, np.inf
    shown = replace(observation, depths={"front": depth})
    seen = Preprocessor(contract)(shown)["depth_front"]
    promised = contract.cameras[0].tensor()
    assert (str(seen.dtype), seen.shape) == (promised.dtype, promised.shape)
    assert seen.shape == (1, 4, 8, 1)
    assert set(np.unique(seen)) == {0.0, 1.5, 3.0}
    assert not seen[0, :, :2].any()
    with pytest.raises(ObservationError, match=r"no depth image from camera front.*given: none"):
        Preprocessor(contract)(observation)
    with pytest.raises(ObservationError, match=r"depth image from camera front is float64"):
        Preprocessor(contract)(replace(shown, depths={"front": depth.astype(float)}))


def test_a_history_holds_the_frames_nearest_to_their_moments(pristine_bundle, observation):
    contract = seeing(pristine_bundle).model_copy(update={"frames": 3, "frame_period": 0.1})
    preprocess = Preprocessor(contract)

    def told(stamp, value):
        state = np.full(4, value, np.float32)
        return preprocess(replace(observation, stamp=stamp, proprioception=state))

    def seen(stamp, value):
        return told(stamp, value)["proprioception"][0, :, 0].tolist()

    first = told(10.0, 0.0)
    assert first["image_front"].shape == (1, 3, 12, 16, 3)
    assert [first[t.name].shape for t in contract.tensors()] == [
        t.shape for t in contract.tensors()
    ]
    assert seen(10.05, 0.5) == [0.0, 0.0, 0.5]
    assert seen(10.12, 1.0) == [0.0, 0.0, 1.0]
    assert seen(10.2, 2.0) == [0.0, 1.0, 2.0]
    # After a pause nothing old stands for what was missed, nor after a clock has jumped back.
    assert seen(11.0, 3.0) == [3.0, 3.0, 3.0]
    assert seen(1.0, 4.0) == [4.0, 4.0, 4.0]
