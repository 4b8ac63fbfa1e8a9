# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The 50 tasks of MT50: how hard each is, and what the robot is told.

Tiers and words are those of LeRobot's protocol, with one exception: there push and push-back share
a sentence, so that no policy could tell them apart by it; here push-back says "back".
"""

from __future__ import annotations

from dataclasses import dataclass

EASY, MEDIUM, HARD, VERY_HARD = TIERS = ("easy", "medium", "hard", "very hard")
"""Names of the tiers; the published average is the mean of their means."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task.

    Attributes:
        tier: How hard it is, of :data:`TIERS`.
        words: What the robot is told.
        other: The task whose words replace these where the instruction is swapped: one in a scene
            of the same objects where there is such a task.
    """

    tier: str
    words: str
    other: str

    @property
    def swapped_words(self) -> str:
        """The words of the other task."""
        return TASKS[self.other].words


TASKS = {
    "assembly": Task(HARD, "Pick up a nut and place it onto a peg", "disassemble"),
    "basketball": Task(MEDIUM, "Dunk the basketball into the basket", "pick-place"),
    "bin-picking": Task(
        MEDIUM, "Grasp the puck from one bin and place it into another bin", "pick-place"
    ),
    "box-close": Task(MEDIUM, "Grasp the cover and close the box with it", "hammer"),
    "button-press-topdown": Task(EASY, "Press a button from the top", "button-press"),
    "button-press-topdown-wall": Task(
        EASY, "Bypass a wall and press a button from the top", "button-press-wall"
    ),
    "button-press": Task(EASY, "Press a button", "button-press-topdown"),
    "button-press-wall": Task(
        EASY, "Bypass a wall and press a button", "button-press-topdown-wall"
    ),
    "coffee-button": Task(EASY, "Push a button on the coffee machine", "coffee-pull"),
    "coffee-pull": Task(MEDIUM, "Pull a mug from a coffee machine", "coffee-push"),
    "coffee-push": Task(MEDIUM, "Push a mug under a coffee machine", "coffee-button"),
    "dial-turn": Task(EASY, "Rotate a dial 180 degrees", "lever-pull"),
    "disassemble": Task(VERY_HARD, "Pick a nut out of a peg", "assembly"),
    "door-close": Task(EASY, "Close a door with a revolving joint", "door-open"),
    "door-lock": Task(EASY, "Lock the door by rotating the lock clockwise", "door-unlock"),
    "door-open": Task(EASY, "Open a door with a revolving joint", "door-close"),
    "door-unlock": Task(
        EASY, "Unlock the door by rotating the lock counter-clockwise", "door-lock"
    ),
    "drawer-close": Task(EASY, "Push and close a drawer", "drawer-open"),
    "drawer-open": Task(EASY, "Open a drawer", "drawer-close"),
    "faucet-close": Task(EASY, "Rotate the faucet clockwise", "faucet-open"),
    "faucet-open": Task(EASY, "Rotate the faucet counter-clockwise", "faucet-close"),
    "hammer": Task(MEDIUM, "Hammer a screw on the wall", "box-close"),
    "hand-insert": Task(HARD, "Insert the gripper into a hole", "sweep-into"),
    "handle-press-side": Task(EASY, "Press a handle down sideways", "handle-pull-side"),
    "handle-press": Task(EASY, "Press a handle down", "handle-pull"),
    "handle-pull-side": Task(EASY, "Pull a handle up sideways", "handle-press-side"),
    "handle-pull": Task(EASY, "Pull a handle up", "handle-press"),
    "lever-pull": Task(EASY, "Pull a lever down 90 degrees", "dial-turn"),
    "peg-insert-side": Task(MEDIUM, "Insert a peg sideways", "peg-unplug-side"),
    "peg-unplug-side": Task(EASY, "Unplug a peg sideways", "peg-insert-side"),
    "pick-out-of-hole": Task(HARD, "Pick up a puck from a hole", "hand-insert"),
    "pick-place": Task(HARD, "Pick and place a puck to a goal", "push"),
    "pick-place-wall": Task(
        VERY_HARD, "Pick a puck, bypass a wall and place the puck", "push-wall"
    ),
    "plate-slide-back-side": Task(
        EASY, "Get a plate from the cabinet sideways", "plate-slide-side"
    ),
    "plate-slide-back": Task(EASY, "Get a plate from the cabinet", "plate-slide"),
    "plate-slide-side": Task(
        EASY, "Slide a plate into a cabinet sideways", "plate-slide-back-side"
    ),
    "plate-slide": Task(EASY, "Slide a plate into a cabinet", "plate-slide-back"),
    "push-back": Task(HARD, "Push the puck back to a goal", "push"),
    "push": Task(HARD, "Push the puck to a goal", "pick-place"),
    "push-wall": Task(MEDIUM, "Bypass a wall and push a puck to a goal", "pick-place-wall"),
    "reach": Task(EASY, "Reach a goal position", "push"),
    "reach-wall": Task(EASY, "Bypass a wall and reach a goal", "push-wall"),
    "shelf-place": Task(VERY_HARD, "Pick and place a puck onto a shelf", "pick-place"),
    "soccer": Task(MEDIUM, "Kick a soccer into the goal", "push"),
    "stick-pull": Task(VERY_HARD, "Grasp a stick and pull a box with the stick", "stick-push"),
    "stick-push": Task(VERY_HARD, "Grasp a stick and push a box using the stick", "stick-pull"),
    "sweep-into": Task(MEDIUM, "Sweep a puck into a hole", "hand-insert"),
    "sweep": Task(MEDIUM, "Sweep a puck off the table", "push"),
    "window-open": Task(EASY, "Push and open a window", "window-close"),
    "window-close": Task(EASY, "Push and close a window", "window-open"),
}
"""Every task by its name, which is Meta-World's without the version."""


def tiers() -> dict[str, tuple[str, ...]]:
    """The tasks of each tier, the easiest first."""
    return {
        tier: tuple(name for name, task in TASKS.items() if task.tier == tier) for tier in TIERS
    }
