# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PyBullet worlds, tasks with instructions, a scripted expert and Gymnasium environments."""
