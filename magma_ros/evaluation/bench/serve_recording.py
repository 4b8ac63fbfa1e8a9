# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What simulated robots show to a server: moments of the simulator's tasks, the same by seed.

With each goes what the deepest exit of the policy plans there, by which answers are judged. Robots
read the file without any simulator or policy; :mod:`magma_ros.evaluation.bench.serve_scenes` makes
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.files import whole
from magma_ros.types import FloatArray, ImageArray

IMAGES = "image/"
"""Before a camera's name in the file."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Consecutive observations of scenes, and the plans of full depth.

    Attributes:
        images: By camera, (N, H, W, 3).
        states: (N, P).
        prompts: N instructions.
        plans: (N, K, D) of the deepest exit, in the units of the action space.
        scale: (D,) by which a difference of plans becomes one in shares of the normalised range.
    """

    images: dict[str, ImageArray]
    states: FloatArray
    prompts: tuple[str, ...]
    plans: FloatArray
    scale: FloatArray

    def __len__(self) -> int:
        """The number of observations N."""
        return len(self.prompts)

    def message(self, index: int) -> dict[str, Any]:
        """An observation as it is sent, without terms."""
        return {
            "images": {name: images[index] for name, images in self.images.items()},
            "state": self.states[index],
            "prompt": self.prompts[index],
        }

    def deviation(self, index: int, actions: FloatArray) -> float:
        """Root mean square difference of a plan to that of full depth, in normalised units."""
        if actions.shape != self.plans[index].shape:
            return float("inf")
        return float(np.sqrt(np.mean(np.square((actions - self.plans[index]) * self.scale))))

    def write(self, path: Path) -> None:
        """Into a file, which :func:`read_recording` reads.

        Raises:
            MagmaError: It cannot be written.
        """
        columns: dict[str, Any] = {IMAGES + name: each for name, each in self.images.items()}
        columns |= {"states": self.states, "prompts": np.array(self.prompts)}
        with whole(path) as draft, draft.open("wb") as file:
            np.savez(file, **columns, plans=self.plans, scale=self.scale)


def read_recording(path: Path) -> Recording:
    """Read what :meth:`Recording.write` wrote."""
    with np.load(path, allow_pickle=False) as found:
        images = {
            name.removeprefix(IMAGES): found[name] for name in found if name.startswith(IMAGES)
        }
        prompts = tuple(map(str, found["prompts"]))
        return Recording(images, found["states"], prompts, found["plans"], found["scale"])
