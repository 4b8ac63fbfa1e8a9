# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the ``*.launch.yaml`` files of ROS 2 on a machine without ROS 2.

Supported: the actions arg, let, set_env, unset_env, push_ros_namespace, set_remap, node, include
and group, conditions, and the substitutions var, env, command, find-pkg-share, dirname and the
boolean ones. What is not supported is refused by name, never skipped.
"""

from magma_ros.embedded.launch.engine import describe_arguments, launch, parse_arguments
from magma_ros.embedded.launch.errors import LaunchError

__all__ = ["LaunchError", "describe_arguments", "launch", "parse_arguments"]
