# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Access to PyBullet, which is imported when the first world is built."""

from __future__ import annotations

import importlib
from typing import Any

from magma_ros.sim.schema import SimulationError

PHYSICS_RATE = 240
"""Physics steps per second: Bullet's own default, for which its solver is tuned."""


class Bullet:
    """One physics server in this process; ``pybullet``'s functions, bound to it.

    Raises:
        SimulationError: PyBullet is not installed.
    """

    def __init__(self) -> None:
        try:
            self._module = importlib.import_module("pybullet")
        except ImportError as error:
            raise SimulationError(
                "the simulator needs PyBullet, which has wheels up to Python 3.11 only: use Python "
                "3.11 with 'pip install magma_ros[sim]', or build it with 'pip install pybullet' "
                "and a C++ compiler"
            ) from error
        self._client = self._module.connect(self._module.DIRECT)
        self.setTimeStep(1.0 / PHYSICS_RATE)
        self.setGravity(0.0, 0.0, -9.81)

    def __getattr__(self, name: str) -> Any:
        """A constant or a function of ``pybullet``; functions act on this server."""
        found = getattr(self._module, name)
        if not callable(found):
            return found

        def bound(*args: Any, **kwargs: Any) -> Any:
            return found(*args, physicsClientId=self._client, **kwargs)

        setattr(self, name, bound)
        return bound

    def close(self) -> None:
        """Shut the server down; a second call does nothing."""
        if self._client >= 0:
            self._module.disconnect(self._client)
            self._client = -1
