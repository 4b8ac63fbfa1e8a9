# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Action chunks become one smooth command stream: splice, blend, interpolate, decelerate."""

from magma_ros.motion.joint_stream import JointSample, JointStream
from magma_ros.motion.plan import Plan
from magma_ros.motion.steps import ChunkError
from magma_ros.motion.stream import (
    ChunkStream,
    StreamConfig,
    StreamConfigError,
    StreamSample,
    StreamState,
)

__all__ = [
    "ChunkError",
    "ChunkStream",
    "JointSample",
    "JointStream",
    "Plan",
    "StreamConfig",
    "StreamConfigError",
    "StreamSample",
    "StreamState",
]
