# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is sent to a policy elsewhere about an observation."""

from __future__ import annotations

from typing import Any

from magma_ros.policy.preprocess import Preprocessor
from magma_ros.remote.messages import Terms, encode_picture, plain
from magma_ros.remote.welcome import Welcome
from magma_ros.types import Observation


class Questions:
    """Makes questions: pictures at the size that the policy takes, measured values, the task.

    To ``magma serve`` they are those of :mod:`magma_ros.remote.messages`; to another server of
    openpi's protocol flat maps under the names that the contract gives.

    Args:
        welcome: How to talk to the server.
    """

    def __init__(self, welcome: Welcome) -> None:
        taken = welcome.contract.observation
        self._taken, self._keys, self._ours = taken, welcome.contract.keys, welcome.ours
        encoding = welcome.contract.encoding
        self._jpeg = welcome.ours if encoding is None else encoding == "jpeg"
        # Words travel as they are, and become tokens where the policy runs.
        wordless = {"max_tokens": None, "attention_mask": False, "prompt": None}
        # A history is kept where the policy runs, from one frame at a time.
        single = {"frames": 1, "frame_period": None} if welcome.ours else {}
        self._preprocess = Preprocessor(taken.model_copy(update=wordless | single))

    def __call__(self, observation: Observation, quality: int, terms: Terms) -> dict[str, Any]:
        """The question about ``observation``.

        Args:
            observation: What the robot sees.
            quality: Of pictures that are sent as JPEG, 1 to 100.
            terms: What is asked besides, of a server that knows it.

        Raises:
            ObservationError: It is not what the policy takes.
        """
        inputs = self._preprocess(observation)
        images: dict[str, Any] = {}
        depths: dict[str, Any] = {}
        for camera in self._taken.cameras:
            values = inputs[camera.input][0]
            if camera.kind == "depth":
                depths[camera.name] = values[..., 0]
            elif self._jpeg and values.ndim == 3:
                images[camera.name] = encode_picture(values, quality)
            else:
                images[camera.name] = values
        question: dict[str, Any]
        if self._ours:
            question = {"images": images, "request": plain(terms)}
            question |= {"depths": depths} if depths else {}
            if observation.point is not None:
                question["point"] = list(observation.point)
        else:
            question = {self._keys.image(name): seen for name, seen in (images | depths).items()}
        if self._taken.proprioception:
            question["state" if self._ours else self._keys.state] = inputs["proprioception"][0]
        if self._taken.max_tokens is not None:
            question["prompt" if self._ours else self._keys.prompt] = observation.instruction
        return question
