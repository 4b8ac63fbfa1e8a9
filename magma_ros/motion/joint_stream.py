# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Action chunks of joints in, one smooth stream of joint targets out.

What :mod:`magma_ros.motion.stream` does for twists is done here for positions. A chunk is entered
at the step that corresponds to now, counted in what was really played since its observation. The
difference to what is commanded at that moment, in position and in speed, dies away without a step
in either. A chunk that ends without a successor ends at rest.

Targets are places, so nothing that was held back on the way is lost, and what was sent need not be
fed back. Speeds, accelerations and jerks are bounded by the guard, which knows the robot.

Between the targets the way is a monotone piecewise cubic (Fritsch and Carlson, 1980): its speed has
no steps, and it never leaves the range of the targets on either side. The difference e fades as a
critically damped system at rest: e(t) = (e0 + (v0 + a e0) t) exp(-a t), with a = 4 / fade time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from magma_ros.motion.steps import ChunkError, joint_targets, openings
from magma_ros.motion.stream import MEMORY, PURSUIT, Followed, StreamState, ease_out
from magma_ros.types import ActionChunk, Answer, FloatArray, Pose


@dataclass(frozen=True, slots=True, eq=False)
class JointSample:
    """The command for one moment.

    Attributes:
        positions: (N,) where the joints are to be [rad or m], in the order of the action space;
            None while no chunk has led them anywhere.
        velocities: (N,) how fast they are to be there [rad/s or m/s].
        openings: (G,) of the grippers, 1 = open; None likewise.
        state: What the stream is doing.
    """

    positions: FloatArray | None
    velocities: FloatArray | None
    openings: FloatArray | None
    state: StreamState


class JointStream:
    """Plays action chunks of joints as one continuous command.

    All times are seconds on the clock of the chunks' stamps. Should that clock jump back (a
    simulation was reset), the stream starts over. No call may come from two threads at once.

    Args:
        fade_steps: Steps of the plan over which nine tenths of an arrival offset fade away.
        stop_time: Time to come to rest when a chunk ends without a successor [s].
        future_tolerance: How far a chunk's stamp may lie ahead of now [s].
    """

    _now: float  # last time anything happened [s]
    _followed: Followed
    _legs: list[_Leg]  # the last one is played; of the others, what was played is still asked for

    def __init__(
        self, *, fade_steps: float = 4.0, stop_time: float = 0.3, future_tolerance: float = 0.1
    ) -> None:
        self._fade_steps = fade_steps
        self._stop_time = stop_time
        self._future_tolerance = future_tolerance
        self._restart(-math.inf)

    def push(
        self, chunk: ActionChunk, now: float, anchor: Pose | FloatArray | None = None
    ) -> Answer:
        """Offer a chunk at ``now`` [s].

        Args:
            chunk: The chunk, of joints.
            now: The present [s].
            anchor: (N,) where the joints were at the chunk's observation [rad or m].

        Returns:
            Whether the chunk is played from here on, and why it is or is not.

        Raises:
            ChunkError: The chunk is malformed, or it is not known where the joints were; the
                stream goes on as if it had not come.
        """
        joints = len(chunk.space.joints)
        if not isinstance(anchor, np.ndarray) or anchor.shape != (joints,):
            raise ChunkError("where the joints were at the observation is not known")
        if not np.isfinite(anchor).all():
            raise ChunkError("where the joints were at the observation is not finite")
        targets = joint_targets(chunk, anchor)
        self._see(now)
        if chunk.stamp > now + self._future_tolerance:
            ahead = chunk.stamp - now
            return Answer(
                accepted=False, sentence=f"Ignored: the chunk is stamped {ahead:.2f} s ahead."
            )
        if why := self._followed.refusal(chunk, now):
            return Answer(accepted=False, sentence=why)
        consumed = sum(leg.played(chunk.stamp, now) for leg in self._legs)
        duration = len(targets) * chunk.step_period
        if consumed >= duration:
            return Answer(
                accepted=False,
                sentence=f"Ignored: the chunk lasts {duration:.2f} s and {consumed:.2f} s have "
                "been played since its observation.",
            )
        leg = _Leg(chunk, anchor, targets, now, consumed)
        before = self._legs[-1].at(now, self._stop_time) if self._legs else None
        leg.depart(before, PURSUIT / (self._fade_steps * chunk.step_period))
        for earlier in self._legs:
            earlier.until = min(earlier.until, now)
        needed = min(chunk.stamp, now - MEMORY)
        self._legs = [each for each in self._legs if each.until > needed]
        self._legs.append(leg)
        self._followed.note(chunk)
        return Answer(accepted=True, sentence=f"Entered {consumed:.2f} s into the chunk.")

    def sample(self, now: float) -> JointSample:
        """The command to send at ``now`` [s]; asking twice for one moment changes nothing."""
        self._see(now)
        if not self._legs:
            return JointSample(None, None, None, StreamState.IDLE)
        leg = self._legs[-1]
        positions, velocities = leg.at(now, self._stop_time)
        state = StreamState.PLAYING
        if now >= leg.until:
            moving = now < leg.until + self._stop_time
            state = StreamState.DECELERATING if moving else StreamState.IDLE
        return JointSample(positions, velocities, leg.openings_at(now), state)

    def clear(self) -> None:
        """Lead nowhere any more, for a take-over or a stop.

        Chunks whose observation lies before this moment are ignored afterwards, because the world
        has moved on without the stream.
        """
        self._restart(self._now)

    def _restart(self, now: float) -> None:
        self._now = now
        self._followed = Followed(now)
        self._legs = []

    def _see(self, now: float) -> None:
        if now < self._now:
            self._restart(-math.inf)
        self._now = now


class _Leg:
    """One chunk from when it was entered: where it leads, as a function of time.

    Attributes:
        until: When it ends, or was left for another [s].
    """

    def __init__(
        self,
        chunk: ActionChunk,
        anchor: FloatArray,
        targets: FloatArray,
        now: float,
        consumed: float,
    ) -> None:
        times = chunk.step_period * np.arange(len(targets) + 1)
        self._way = PchipInterpolator(times, np.concatenate([anchor[None], targets]))
        self._pace = self._way.derivative()
        self._entered, self._consumed = now, consumed
        self._period, self._openings = chunk.step_period, openings(chunk)
        self.until = now + float(times[-1]) - consumed
        space = chunk.space
        moving = list(space.moving)
        self._low, self._high = space.low[moving], space.high[moving]
        self._offset = self._drift = np.zeros(len(anchor))
        self._rate = 0.0

    def depart(self, command: tuple[FloatArray, FloatArray] | None, rate: float) -> None:
        """Begin at what is commanded, positions and velocities; at rest at its own if nothing is.

        Args:
            command: Positions and velocities (N,) each, or None.
            rate: At which the difference fades [1/s].
        """
        place, pace = self._way(self._consumed), self._pace(self._consumed)
        if command is None:
            command = place, np.zeros_like(pace)
        self._rate = rate
        self._offset = command[0] - place
        self._drift = command[1] - pace + rate * self._offset

    def played(self, since: float, now: float) -> float:
        """Time for which it was played between two moments [s]."""
        return max(0.0, min(now, self.until) - max(since, self._entered))

    def at(self, now: float, stop_time: float) -> tuple[FloatArray, FloatArray]:
        """Positions and velocities, (N,) each; it comes to rest within ``stop_time`` [s]."""
        played = min(now, self.until) - self._entered
        fade = math.exp(-self._rate * played)
        offset = (self._offset + self._drift * played) * fade
        places = self._way(self._consumed + played) + offset
        paces = self._pace(self._consumed + played) + self._drift * fade - self._rate * offset
        if now > self.until:
            part = min((now - self.until) / stop_time, 1.0)
            places = places + stop_time * (part - part**3 + 0.5 * part**4) * paces
            paces = ease_out(part) * paces
        inside = (self._low < places) & (places < self._high)
        return np.clip(places, self._low, self._high), np.where(inside, paces, 0.0)

    def openings_at(self, now: float) -> FloatArray:
        """Openings (G,) of the step at ``now`` [s]."""
        step = int((self._consumed + now - self._entered) / self._period)
        row: FloatArray = self._openings[min(max(step, 0), len(self._openings) - 1)]
        return row
