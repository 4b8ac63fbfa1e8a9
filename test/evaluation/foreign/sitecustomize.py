# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Imported at the start of every process: as if no simulator were installed."""

import sys

for name in ("magma_ros.sim", "pybullet", "gymnasium"):
    sys.modules[name] = None
