# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The states of a managed node and the transitions between them.

The table is that of ``rcl_lifecycle`` (``default_state_machine.c``); the numbers are those of
``lifecycle_msgs``. See https://design.ros2.org/articles/node_lifecycle.html.
"""

from __future__ import annotations

from typing import NamedTuple

from lifecycle_msgs.msg import State, Transition

from .managed_entity import TransitionCallbackReturn


class LifecycleState(NamedTuple):
    """A state, as callbacks are given it."""

    label: str
    state_id: int


class LifecycleTransition(NamedTuple):
    """A way from one state to another."""

    transition_id: int
    label: str
    start: LifecycleState
    goal: LifecycleState


UNKNOWN = LifecycleState("unknown", State.PRIMARY_STATE_UNKNOWN)
UNCONFIGURED = LifecycleState("unconfigured", State.PRIMARY_STATE_UNCONFIGURED)
INACTIVE = LifecycleState("inactive", State.PRIMARY_STATE_INACTIVE)
ACTIVE = LifecycleState("active", State.PRIMARY_STATE_ACTIVE)
FINALIZED = LifecycleState("finalized", State.PRIMARY_STATE_FINALIZED)
CONFIGURING = LifecycleState("configuring", State.TRANSITION_STATE_CONFIGURING)
CLEANINGUP = LifecycleState("cleaningup", State.TRANSITION_STATE_CLEANINGUP)
SHUTTINGDOWN = LifecycleState("shuttingdown", State.TRANSITION_STATE_SHUTTINGDOWN)
ACTIVATING = LifecycleState("activating", State.TRANSITION_STATE_ACTIVATING)
DEACTIVATING = LifecycleState("deactivating", State.TRANSITION_STATE_DEACTIVATING)
ERRORPROCESSING = LifecycleState("errorprocessing", State.TRANSITION_STATE_ERRORPROCESSING)

STATES = (
    UNKNOWN,
    UNCONFIGURED,
    INACTIVE,
    ACTIVE,
    FINALIZED,
    CONFIGURING,
    CLEANINGUP,
    SHUTTINGDOWN,
    ACTIVATING,
    DEACTIVATING,
    ERRORPROCESSING,
)

OUTCOMES = {
    TransitionCallbackReturn.SUCCESS: "transition_success",
    TransitionCallbackReturn.FAILURE: "transition_failure",
    TransitionCallbackReturn.ERROR: "transition_error",
}
"""Labels of the transitions that a callback's return value chooses."""

_REQUESTS = (
    LifecycleTransition(Transition.TRANSITION_CONFIGURE, "configure", UNCONFIGURED, CONFIGURING),
    LifecycleTransition(Transition.TRANSITION_CLEANUP, "cleanup", INACTIVE, CLEANINGUP),
    LifecycleTransition(Transition.TRANSITION_ACTIVATE, "activate", INACTIVE, ACTIVATING),
    LifecycleTransition(Transition.TRANSITION_DEACTIVATE, "deactivate", ACTIVE, DEACTIVATING),
    LifecycleTransition(
        Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, "shutdown", UNCONFIGURED, SHUTTINGDOWN
    ),
    LifecycleTransition(
        Transition.TRANSITION_INACTIVE_SHUTDOWN, "shutdown", INACTIVE, SHUTTINGDOWN
    ),
    LifecycleTransition(Transition.TRANSITION_ACTIVE_SHUTDOWN, "shutdown", ACTIVE, SHUTTINGDOWN),
)


def _outcomes(
    first_id: int,
    start: LifecycleState,
    success: LifecycleState,
    failure: LifecycleState,
    error: LifecycleState,
) -> tuple[LifecycleTransition, ...]:
    """Where the return value of a callback leads; the three numbers follow each other."""
    goals = (success, failure, error)
    return tuple(
        LifecycleTransition(first_id + i, label, start, goal)
        for i, (label, goal) in enumerate(zip(OUTCOMES.values(), goals, strict=True))
    )


TRANSITIONS: tuple[LifecycleTransition, ...] = (
    *_REQUESTS,
    *_outcomes(
        Transition.TRANSITION_ON_CONFIGURE_SUCCESS,
        CONFIGURING,
        INACTIVE,
        UNCONFIGURED,
        ERRORPROCESSING,
    ),
    *_outcomes(
        Transition.TRANSITION_ON_CLEANUP_SUCCESS,
        CLEANINGUP,
        UNCONFIGURED,
        INACTIVE,
        ERRORPROCESSING,
    ),
    *_outcomes(
        Transition.TRANSITION_ON_ACTIVATE_SUCCESS, ACTIVATING, ACTIVE, INACTIVE, ERRORPROCESSING
    ),
    *_outcomes(
        Transition.TRANSITION_ON_DEACTIVATE_SUCCESS,
        DEACTIVATING,
        INACTIVE,
        ACTIVE,
        ERRORPROCESSING,
    ),
    *_outcomes(
        Transition.TRANSITION_ON_SHUTDOWN_SUCCESS,
        SHUTTINGDOWN,
        FINALIZED,
        FINALIZED,
        ERRORPROCESSING,
    ),
    *_outcomes(
        Transition.TRANSITION_ON_ERROR_SUCCESS,
        ERRORPROCESSING,
        UNCONFIGURED,
        FINALIZED,
        FINALIZED,
    ),
)


class StateMachine:
    """Where a node is, and where it can go from there."""

    def __init__(self) -> None:
        self.state = UNCONFIGURED

    @property
    def current_state(self) -> tuple[int, str]:
        """Number and label of the current state, in rclpy's order."""
        return self.state.state_id, self.state.label

    @property
    def available_transitions(self) -> list[LifecycleTransition]:
        """The transitions that start at the current state."""
        return [transition for transition in TRANSITIONS if transition.start == self.state]

    def find(self, key: int | str) -> LifecycleTransition | None:
        """The transition from here with this number or label, or None."""
        for transition in self.available_transitions:
            if key in (transition.transition_id, transition.label):
                return transition
        return None
