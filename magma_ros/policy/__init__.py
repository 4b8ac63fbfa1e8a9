# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle on disk becomes stages in ONNX Runtime, and one reading per exit."""
