# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m magma_ros.cli``."""

import sys

from magma_ros.cli import main

sys.exit(main())
