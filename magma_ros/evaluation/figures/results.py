# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The result of one evaluated episode."""

from __future__ import annotations

from dataclasses import dataclass, field

from magma_ros.evaluation.world import FailureReason, Scene


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """What became of one episode.

    Attributes:
        scene: Which one.
        success: Whether the task was done to the object that the scene's own instruction names.
        swapped_success: Whether it was done to the object that the swapped instruction names; None
            if the world cannot tell.
        failure: Why the first of these is not so; None if it is, or the world cannot tell.
        duration: Simulated time until the task was done or the time was up [s].
        closest: Least distance of the tool from what it must reach [m]; None if the world cannot
            tell.
        closest_at: Simulated time of that [s], or None.
        jerk: Root mean square jerk of the measured tool path, sampled once a step of an action
            chunk [m/s^3].
        reasons: How often each ``Reason`` ended a decision, by name.
        chunks: Decisions that gave a chunk.
        depth: Sum of the exits those chunks came from.
        flops: Floating-point operations spent on all decisions.
        weight_bytes: Bytes of weights read for all decisions.
        late: Decisions that fell after their deadline, or not at all for lack of time.
        stalls: Times that the command stream ran dry.
        lag: Longest time by which the world fell behind its clock [s].
        trace_errors: For each predicted point whose time came: distance from where the gripper,
            and from where the object in the policy's instruction, really was, on the trace grid.
        elsewhere: How often a plan made elsewhere was acted on, by ``Origin``.
        contacts: How often the robot, or what it held, began to touch what it must not; None
            if the world cannot tell.
        nearest: How near they came [m]; None if the world cannot tell, or there was nothing.
        instruction: What the policy was told.
    """

    scene: Scene
    success: bool
    swapped_success: bool | None
    failure: FailureReason | None
    duration: float
    closest: float | None
    closest_at: float | None
    jerk: float
    reasons: dict[str, int]
    chunks: int
    depth: int
    flops: int
    weight_bytes: int
    late: int
    stalls: int
    lag: float
    trace_errors: tuple[tuple[float, float], ...]
    elsewhere: dict[str, int] = field(default_factory=dict)
    contacts: int | None = None
    nearest: float | None = None
    instruction: str = ""

    @property
    def decisions(self) -> int:
        """Number of observations that the policy judged."""
        return sum(self.reasons.values())
