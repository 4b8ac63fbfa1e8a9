# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The PyTorch side: network, demonstrations, training, export. Never imported at run time."""
