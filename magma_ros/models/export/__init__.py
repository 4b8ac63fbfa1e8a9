# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint to a bundle: ONNX graphs, quantisation, parity, model card."""
