# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the console node."""

from __future__ import annotations

from magma_ros.nodes.cameras import CAMERA_TOPICS
from magma_ros.nodes.gripper import GRIPPER_SETTINGS
from magma_ros.nodes.limits import BASE_FRAME, LINEAR_SPEED, POSE_SETTINGS
from magma_ros.nodes.settings import Setting

SERVER_SETTINGS = (
    Setting(
        "host",
        "127.0.0.1",
        "Address that the page is served on; anything but loopback needs a token.",
    ),
    Setting("port", 8080, "Port of the page; 0 for any that is free.", 0, 65535),
    Setting("token", "", "What a person must enter to see the page; empty for nothing."),
    Setting("tls_certificate", "", "File with the certificate of the page (PEM); empty for none."),
    Setting("tls_key", "", "File with its key (PEM)."),
)
"""Parameters that the server is given, by the names of its configuration."""

CONSOLE_SETTINGS = (
    BASE_FRAME,
    LINEAR_SPEED,
    *POSE_SETTINGS,
    *GRIPPER_SETTINGS,
    Setting("cameras", ["front", "wrist"], "Cameras to show, where camera_topics names none."),
    CAMERA_TOPICS,
    Setting("transport", "raw", "Pictures to receive.", choices=("raw", "compressed")),
    Setting("picture_rate", 10.0, "Greatest rate of pictures on the page [Hz].", 0.5, 60.0),
    Setting("picture_width", 640, "Width to which wider pictures are reduced [px].", 64, 3840),
)
"""Parameters of every console, with a page or without."""
