# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle on disk becomes stages in ONNX Runtime, and one reading per exit.

Start at :class:`magma_ros.policy.runtime.StagedPolicy`; the contract of a bundle is in
:mod:`magma_ros.policy.manifest`.
"""
