# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Meta-World's 50 tasks as worlds: MuJoCo, one camera, four numbers of state, the task in words."""
