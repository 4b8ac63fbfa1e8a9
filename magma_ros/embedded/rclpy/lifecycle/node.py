# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node whose states others can see and change."""

from __future__ import annotations

import traceback
from typing import Any

from lifecycle_msgs.msg import State, Transition, TransitionDescription, TransitionEvent
from lifecycle_msgs.srv import (
    ChangeState,
    GetAvailableStates,
    GetAvailableTransitions,
    GetState,
)
from rclpy.node import Node

from .managed_entity import ManagedEntity, TransitionCallbackReturn
from .publisher import LifecyclePublisher
from .state_machine import (
    OUTCOMES,
    STATES,
    TRANSITIONS,
    LifecycleState,
    LifecycleTransition,
    StateMachine,
)


class LifecycleNode(ManagedEntity, Node):
    """A managed node: override ``on_configure`` and its like, and call ``super()`` in them.

    The callbacks here pass each transition on to the managed entities, such as the publishers
    that :meth:`create_lifecycle_publisher` makes.

    Deviations from rclpy: an exception in a callback is logged with its traceback; a callback
    that returns nothing counts as an error; a transition that is not possible, asked for over
    the service, is refused with a warning and does not end the node.
    """

    def __init__(
        self, node_name: str, *, enable_communication_interface: bool = True, **kwargs: Any
    ) -> None:
        """Start in the state unconfigured.

        Args:
            node_name: Name of the node.
            enable_communication_interface: Whether others can see and change the state.
            **kwargs: Handed to :class:`rclpy.node.Node`.
        """
        Node.__init__(self, node_name, **kwargs)
        self._state_machine = StateMachine()
        self._managed_entities: set[ManagedEntity] = set()
        self._event_publisher = None
        if enable_communication_interface:
            self._event_publisher = self.create_publisher(TransitionEvent, "~/transition_event", 10)
            self._create_lifecycle_services()

    def _create_lifecycle_services(self) -> None:
        for service_type, name, callback in (
            (ChangeState, "change_state", self._on_change_state),
            (GetState, "get_state", self._on_get_state),
            (GetAvailableStates, "get_available_states", self._on_get_available_states),
            (GetAvailableTransitions, "get_available_transitions", self._on_get_available),
            (GetAvailableTransitions, "get_transition_graph", self._on_get_graph),
        ):
            self.create_service(service_type, f"~/{name}", callback)

    def create_lifecycle_publisher(self, *args: Any, **kwargs: Any) -> LifecyclePublisher:
        """Create a publisher that is silent unless the node is active."""
        publisher: LifecyclePublisher = self.create_publisher(
            *args, **kwargs, publisher_class=LifecyclePublisher
        )
        self.add_managed_entity(publisher)
        return publisher

    def destroy_lifecycle_publisher(self, publisher: LifecyclePublisher) -> bool:
        """Destroy such a publisher."""
        self._managed_entities.discard(publisher)
        return bool(self.destroy_publisher(publisher))

    def add_managed_entity(self, entity: ManagedEntity) -> None:
        """Let an entity follow the node's transitions."""
        self._managed_entities.add(entity)

    def trigger_configure(self) -> TransitionCallbackReturn:
        """Go from unconfigured to inactive.

        This and the other triggers return what the callback returned.

        Raises:
            RuntimeError: The transition does not start at the current state.
        """
        return self._change_state("configure")

    def trigger_cleanup(self) -> TransitionCallbackReturn:
        """Go from inactive to unconfigured."""
        return self._change_state("cleanup")

    def trigger_activate(self) -> TransitionCallbackReturn:
        """Go from inactive to active."""
        return self._change_state("activate")

    def trigger_deactivate(self) -> TransitionCallbackReturn:
        """Go from active to inactive."""
        return self._change_state("deactivate")

    def trigger_shutdown(self) -> TransitionCallbackReturn:
        """Go to finalized, from whatever state."""
        return self._change_state("shutdown")

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configure the managed entities."""
        return self._pass_on("on_configure", state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Clean up the managed entities."""
        return self._pass_on("on_cleanup", state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activate the managed entities."""
        return self._pass_on("on_activate", state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate the managed entities."""
        return self._pass_on("on_deactivate", state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Shut down the managed entities."""
        return self._pass_on("on_shutdown", state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the managed entities repair themselves."""
        return self._pass_on("on_error", state)

    def _pass_on(self, callback: str, state: LifecycleState) -> TransitionCallbackReturn:
        """Call the same callback of each managed entity, up to the first that does not succeed."""
        for entity in self._managed_entities:
            result: TransitionCallbackReturn = getattr(entity, callback)(state)
            if result is not TransitionCallbackReturn.SUCCESS:
                return result
        return TransitionCallbackReturn.SUCCESS

    def _change_state(self, key: int | str) -> TransitionCallbackReturn:
        transition = self._state_machine.find(key)
        if transition is None:
            known = [t.label for t in self._state_machine.available_transitions]
            raise RuntimeError(
                f"transition {key!r} is not possible in the state "
                f"'{self._state_machine.state.label}' (possible: {', '.join(known) or 'none'})"
            )
        before = self._state_machine.state
        self._go(transition)
        result = self._call_back(before)
        if result is TransitionCallbackReturn.ERROR:
            self._call_back(before)
        return result

    def _call_back(self, before: LifecycleState) -> TransitionCallbackReturn:
        """Run the callback of the state that the node passes through, and go where it leads."""
        name = _CALLBACKS[self._state_machine.state.label]
        try:
            result = _checked(name, getattr(self, name)(before))
        except Exception:  # noqa: BLE001 - whatever goes wrong, the node must reach a known state
            self.get_logger().error(f"{name} failed:\n{traceback.format_exc()}")
            result = TransitionCallbackReturn.ERROR
        outcome = self._state_machine.find(OUTCOMES[result])
        assert outcome is not None
        self._go(outcome)
        return result

    def _go(self, transition: LifecycleTransition) -> None:
        self._state_machine.state = transition.goal
        if self._event_publisher is not None:
            event = TransitionEvent(timestamp=self.get_clock().now().nanoseconds)
            described = _description(transition)
            event.transition = described.transition
            event.start_state = described.start_state
            event.goal_state = described.goal_state
            self._event_publisher.publish(event)

    def _on_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        try:
            result = self._change_state(request.transition.label or request.transition.id)
        except RuntimeError as error:
            self.get_logger().warning(str(error))
            response.success = False
        else:
            response.success = result is TransitionCallbackReturn.SUCCESS
        return response

    def _on_get_state(
        self, _request: GetState.Request, response: GetState.Response
    ) -> GetState.Response:
        response.current_state = _message(self._state_machine.state)
        return response

    def _on_get_available_states(
        self, _request: GetAvailableStates.Request, response: GetAvailableStates.Response
    ) -> GetAvailableStates.Response:
        response.available_states = [_message(state) for state in STATES]
        return response

    def _on_get_available(
        self,
        _request: GetAvailableTransitions.Request,
        response: GetAvailableTransitions.Response,
    ) -> GetAvailableTransitions.Response:
        available = self._state_machine.available_transitions
        response.available_transitions = [_description(transition) for transition in available]
        return response

    def _on_get_graph(
        self,
        _request: GetAvailableTransitions.Request,
        response: GetAvailableTransitions.Response,
    ) -> GetAvailableTransitions.Response:
        response.available_transitions = [_description(transition) for transition in TRANSITIONS]
        return response


_CALLBACKS = {
    "configuring": "on_configure",
    "cleaningup": "on_cleanup",
    "activating": "on_activate",
    "deactivating": "on_deactivate",
    "shuttingdown": "on_shutdown",
    "errorprocessing": "on_error",
}


def _checked(name: str, result: object) -> TransitionCallbackReturn:
    if not isinstance(result, TransitionCallbackReturn):
        raise TypeError(f"{name} returned {result!r}, not a TransitionCallbackReturn")
    return result


def _message(state: LifecycleState) -> State:
    return State(id=state.state_id, label=state.label)


def _description(transition: LifecycleTransition) -> TransitionDescription:
    return TransitionDescription(
        transition=Transition(id=transition.transition_id, label=transition.label),
        start_state=_message(transition.start),
        goal_state=_message(transition.goal),
    )
