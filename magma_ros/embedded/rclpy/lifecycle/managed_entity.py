# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What follows a managed node through its states: publishers, and whatever a user adds."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from lifecycle_msgs.msg import Transition

if TYPE_CHECKING:
    from .state_machine import LifecycleState


class TransitionCallbackReturn(Enum):
    """How a transition callback ended."""

    SUCCESS = Transition.TRANSITION_CALLBACK_SUCCESS
    FAILURE = Transition.TRANSITION_CALLBACK_FAILURE
    ERROR = Transition.TRANSITION_CALLBACK_ERROR


class ManagedEntity:
    """Something with a callback for each transition; it is given the state that is left."""

    def on_configure(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Make ready."""
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Undo what was made ready."""
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to work."""
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working."""
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Prepare to end, from whatever state."""
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Repair what an error in another callback has left; SUCCESS allows to begin again."""
        return TransitionCallbackReturn.SUCCESS


class SimpleManagedEntity(ManagedEntity):
    """An entity that only remembers whether it is active."""

    def __init__(self) -> None:
        self._enabled = False

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Remember to be active."""
        self._enabled = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Remember not to be active."""
        self._enabled = False
        return super().on_deactivate(state)

    @property
    def is_activated(self) -> bool:
        """True between activation and deactivation."""
        return self._enabled
