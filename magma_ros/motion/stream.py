# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Action chunks in, one smooth velocity command out, whenever it is asked for.

Chunks arrive late, early, twice or not at all. Whatever comes, the stream

- enters a chunk at the step that corresponds to now, counted in what was really played since the
  chunk's observation, never in guessed delays;
- goes back to a chunk of an earlier observation only if it comes from a deeper exit than the one
  that is followed, and is not too old;
- lets the difference between what was played and what the chunk would have played die away
  without a step in velocity;
- comes smoothly to rest when a chunk ends and has no successor;
- brakes early enough for what the chunk does next, where the robot cannot stop as fast;
- counts as done only what the guard has really sent.

The difference is closed by a critically damped pursuit. Let e be how far the plan is ahead of what
was commanded, and T the sampling period. Asking for e[n+1] = 2 q e[n] - q^2 e[n-1], a double pole
at q = exp(-4 T / fade), gives the velocity to hold until the next sample:

    v = plan velocity + (1 - q)^2 e / T - q^2 (plan velocity - last velocity)

Speed and acceleration are bounded afterwards; what that costs shows up in e and is made good later.

The twists that the guard sends are fed back, see ``magma_ros.motion.feedback``. They lag behind
the commands: those on their way at a chunk's observation count when it must be braked in time.
What the guard withholds is taken off what was travelled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import Enum

import numpy as np

from magma_ros.motion.feedback import Feedback
from magma_ros.motion.history import History, Progress
from magma_ros.motion.plan import Plan
from magma_ros.types import ActionChunk, Answer, FloatArray, MagmaError, Pose

PURSUIT = 4.0
"""Pursuit rate times fade time: (1 + 4) exp(-4) = 9 % of an offset is left after the fade."""

MEMORY = 1.0
"""Age of an observation up to which a deeper chunk that answers it may still be entered [s]."""

_MODERATION = 0.75
"""Share of the acceleration that braking in time counts on; with the rest the guard catches up."""


class StreamConfigError(MagmaError):
    """A stream setting that makes no sense."""


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """Settings of a :class:`ChunkStream`.

    Attributes:
        period: Time between two samples in normal running [s].
        fade_steps: Steps of the plan over which nine tenths of an arrival offset fade away.
        stop_time: Time to come to rest when a chunk ends without a successor [s].
        linear_speed: Greatest norm of the linear velocity [m/s].
        angular_speed: Greatest norm of the angular velocity [rad/s].
        linear_acceleration: Greatest norm of the linear acceleration [m/s^2].
        angular_acceleration: Greatest norm of the angular acceleration [rad/s^2].
        linear_jerk: With which the guard builds up a linear acceleration [m/s^3].
        angular_jerk: With which the guard builds up an angular acceleration [rad/s^3].
        future_tolerance: How far a chunk's stamp may lie ahead of now [s].
        feedback_time: Longest time from a command to hearing what was sent because of it [s].

    Raises:
        StreamConfigError: A setting is not a positive, finite number.
    """

    period: float = 0.02
    fade_steps: float = 4.0
    stop_time: float = 0.3
    linear_speed: float = 0.35
    angular_speed: float = 3.5
    linear_acceleration: float = 4.0
    angular_acceleration: float = 40.0
    linear_jerk: float = 400.0
    angular_jerk: float = 4000.0
    future_tolerance: float = 0.1
    feedback_time: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0.0):
                raise StreamConfigError(
                    f"the stream's {field.name} must be a positive number, not {value}"
                )


class StreamState(Enum):
    """What the stream is doing; the value is the sentence shown to people."""

    PLAYING = "A chunk is being played."
    DECELERATING = "The last chunk has ended and no other has come; slowing down."
    IDLE = "At rest, waiting for a chunk."


@dataclass(frozen=True, slots=True, eq=False)
class StreamSample:
    """The command for one moment.

    Attributes:
        twist: (6,) linear [m/s] and angular [rad/s] velocity in the base frame, to be held until
            the next sample.
        gripper: Target opening (1 = open), or None while no chunk has given one.
        state: What the stream is doing.
    """

    twist: FloatArray
    gripper: float | None
    state: StreamState


class Followed:
    """Which observation a stream follows, and how deeply it was thought about.

    Args:
        since: Stamp up to which everything was cleared away [s].
    """

    def __init__(self, since: float) -> None:
        self._since = self._newest = since
        self._rank = (0, since)  # depth and stamp of what is followed

    def refusal(self, chunk: ActionChunk, now: float) -> str:
        """Why ``chunk`` must not be followed at ``now`` [s], in one sentence, or empty."""
        if chunk.stamp > self._newest:
            return ""
        if chunk.stamp <= self._since or (chunk.depth, chunk.stamp) <= self._rank:
            return "Ignored: the stream already follows an observation at least as new."
        if (age := now - chunk.stamp) > MEMORY:
            return f"Ignored: the chunk's observation is {age:.2f} s old."
        return ""

    def note(self, chunk: ActionChunk) -> None:
        """Take in that ``chunk`` is followed from here on."""
        self._newest = max(self._newest, chunk.stamp)
        self._rank = (chunk.depth, chunk.stamp)


class ChunkStream:
    """Plays action chunks as one continuous command.

    All times are seconds on the clock of the chunks' stamps. Should that clock jump back (a
    simulation was reset), the stream starts over. No call may come from two threads at once.

    Args:
        config: Settings.
    """

    _now: float  # last time anything happened [s]
    _sampled: float  # last time a command was given out [s]
    _velocity: FloatArray  # that command
    _gripper: float | None
    _progress: Progress
    _history: History
    _followed: Followed
    _plan: Plan | None  # what is being played
    _plan_time: float  # how far into it [s]
    _origin: FloatArray  # displacement commanded up to the plan's observation
    _reached: FloatArray  # displacement that the robot had really made by then
    _fade: float  # time over which its arrival offset fades [s]
    _ended: float  # when the last plan ran out [s]
    _release: FloatArray  # the command at that moment
    _feedback: Feedback

    def __init__(self, config: StreamConfig | None = None) -> None:
        self._config = config or StreamConfig()
        self._restart(-math.inf)

    def push(
        self, chunk: ActionChunk, now: float, anchor: Pose | FloatArray | None = None
    ) -> Answer:
        """Offer a chunk at ``now`` [s].

        Args:
            chunk: The chunk, of an end effector.
            now: The present [s].
            anchor: Where the end effector was at the chunk's observation, for a chunk of poses.

        Returns:
            Whether the chunk is played from here on, and why it is or is not.

        Raises:
            ChunkError: The chunk is malformed; the stream goes on as if it had not come.
        """
        plan = Plan(chunk, anchor if isinstance(anchor, Pose) else None)
        self._advance(now)
        if chunk.stamp > now + self._config.future_tolerance:
            ahead = chunk.stamp - now
            return Answer(
                accepted=False, sentence=f"Ignored: the chunk is stamped {ahead:.2f} s ahead."
            )
        if why := self._followed.refusal(chunk, now):
            return Answer(accepted=False, sentence=why)
        observed = self._history.at(chunk.stamp)
        consumed = self._progress.played - observed.played
        if consumed >= plan.duration:
            return Answer(
                accepted=False,
                sentence=f"Ignored: the chunk lasts {plan.duration:.2f} s and {consumed:.2f} s "
                "have been played since its observation.",
            )
        self._plan, self._plan_time = plan, consumed
        self._origin = observed.travelled
        self._reached = self._history.at(chunk.stamp - self._feedback.lag).travelled
        self._fade = self._config.fade_steps * chunk.step_period
        self._followed.note(chunk)
        needed = min(chunk.stamp, now - MEMORY)
        self._history.forget_before(needed - self._config.feedback_time)
        return Answer(accepted=True, sentence=f"Entered {consumed:.2f} s into the chunk.")

    def sample(self, now: float) -> StreamSample:
        """The command to send at ``now`` [s]; asking twice for one moment changes nothing."""
        self._advance(now)
        if (elapsed := min(now - self._sampled, 2.0 * self._config.period)) > 0.0:
            if self._plan is not None:
                wanted = self._pursue(self._plan)
                self._gripper = self._plan.gripper(self._plan_time)
            else:
                wanted = self._release * ease_out((now - self._ended) / self._config.stop_time)
            self._velocity = self._bounded(wanted, elapsed)
        self._sampled = now
        return StreamSample(self._velocity.copy(), self._gripper, self._state())

    def note_sent(self, twist: FloatArray, now: float) -> None:
        """Learn what was really sent to the robot, each time that something is.

        Args:
            twist: (6,) velocity [m/s, rad/s] that was sent, received at ``now``.
            now: The present [s].
        """
        self._advance(now)
        loss = self._feedback.note_sent(twist, self._velocity, now, self._history)
        self._progress = Progress(self._progress.played, self._progress.travelled - loss)

    def clear(self) -> None:
        """Drop everything and be at rest at once, for a take-over or a stop.

        Chunks whose observation lies before this moment are ignored afterwards, because the world
        has moved on without the stream. Ramping the arm down is the guard's part.
        """
        self._restart(self._now)

    def _restart(self, newest: float) -> None:
        self._now = self._sampled = self._ended = newest
        self._followed = Followed(newest)
        self._plan = None
        self._plan_time = self._fade = 0.0
        self._velocity, self._release, self._origin, self._reached = np.zeros((4, 6))
        self._gripper = None
        self._progress = Progress(0.0, np.zeros(6))
        self._history = History()
        self._feedback = Feedback(self._config.feedback_time)

    def _advance(self, now: float) -> None:
        """Account for the last command having been held until ``now``."""
        if now < self._now or math.isinf(self._now):
            self._restart(-math.inf)
            self._now = self._sampled = now
        held = now - self._now
        played = 0.0
        if self._plan is not None:
            left = self._plan.duration - self._plan_time
            played = min(held, left)
            self._plan_time += played
            if held >= left:
                self._plan, self._release, self._ended = None, self._velocity, self._now + left
        self._progress = Progress(
            self._progress.played + played, self._progress.travelled + held * self._velocity
        )
        self._history.record(now, self._progress)
        if held > 0.0:
            self._feedback.note_commanded(self._velocity, now)
        self._now = now

    def _pursue(self, plan: Plan) -> FloatArray:
        """The velocity that follows the plan and closes what is left of the offset."""
        period = self._config.period
        pole = math.exp(-PURSUIT * period / self._fade)
        offset = self._origin + plan.displacement(self._plan_time) - self._progress.travelled
        lag = plan.velocity(self._plan_time - 0.5 * period) - self._velocity
        # The command is held for a period, so it aims at the middle of it.
        ahead = plan.velocity(self._plan_time + 0.5 * period)
        wanted = ahead + (1.0 - pole) ** 2 / period * offset - pole**2 * lag
        return self._in_time(plan, wanted)

    def _in_time(self, plan: Plan, wanted: FloatArray) -> FloatArray:
        """``wanted``, but no faster than allows to be as slow as the plan when it slows down.

        From speed s, held for a period T and then lowered at an acceleration a built up with jerk
        j, a speed v is reached after (s^2 - v^2) / (2 a) + s (T + a / j) / 2. The path there is the
        plan's, and what it is ahead of the robot's: commands that were still on their way at its
        observation will be carried out.
        """
        config = self._config
        offset = self._reached + plan.displacement(self._plan_time) - self._progress.travelled
        speeds, ways = plan.ahead(self._plan_time)
        slower = wanted.copy()
        for part, (acceleration, jerk) in enumerate(
            (
                (config.linear_acceleration, config.linear_jerk),
                (config.angular_acceleration, config.angular_jerk),
            )
        ):
            section = slice(3 * part, 3 * part + 3)
            speed = float(np.linalg.norm(wanted[section]))
            if speed == 0.0:
                continue
            braking = _MODERATION * acceleration
            behind = float(offset[section] @ wanted[section]) / speed
            room = np.maximum(ways[:, part] + behind, 0.0)
            step = 0.5 * braking * (config.period + acceleration / jerk)
            squared = step**2 + speeds[:, part] ** 2 + 2.0 * braking * room
            fastest = float(np.maximum(np.sqrt(squared) - step, speeds[:, part]).min())
            slower[section] = _shortened(wanted[section], fastest)
        return slower

    def _bounded(self, wanted: FloatArray, elapsed: float) -> FloatArray:
        """``wanted`` within the speed limits, and no further away than the acceleration allows."""
        config = self._config
        bounded = np.empty(6)
        for part, speed, acceleration in (
            (slice(0, 3), config.linear_speed, config.linear_acceleration),
            (slice(3, 6), config.angular_speed, config.angular_acceleration),
        ):
            last = self._velocity[part]
            change = _shortened(wanted[part], speed) - last
            bounded[part] = last + _shortened(change, acceleration * elapsed)
        return bounded

    def _state(self) -> StreamState:
        if self._plan is not None:
            return StreamState.PLAYING
        return StreamState.DECELERATING if self._velocity.any() else StreamState.IDLE


def _shortened(vector: FloatArray, longest: float) -> FloatArray:
    norm = float(np.linalg.norm(vector))
    return vector if norm <= longest else longest / norm * vector


def ease_out(part: float) -> float:
    """1 at 0, 0 from 1 on, with level ends (the cubic smoothstep, reversed)."""
    part = min(max(part, 0.0), 1.0)
    return 1.0 - part * part * (3.0 - 2.0 * part)
