# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LeRobotDataset: version 3.0 written, 2.1 and 3.0 read, by pyarrow and PyAV alone."""
