# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the plain server of these tests importable by name."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
