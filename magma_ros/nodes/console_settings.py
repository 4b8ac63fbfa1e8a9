# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the console node."""

from __future__ import annotations

from magma_ros.console.config import ConsoleConfig
from magma_ros.nodes.cameras import CAMERA_TOPICS
from magma_ros.nodes.gripper import GRIPPER_SETTINGS
from magma_ros.nodes.limits import BASE_FRAME, LINEAR_SPEED, POSE_SETTINGS
from magma_ros.nodes.settings import Setting, Settings

JOG_SETTINGS = (
    Setting("jog.linear_speed", 0.25, "Greatest speed of jogging [m/s].", 0.001, 5.0),
    Setting("jog.angular_speed", 0.6, "Greatest angular speed of jogging [rad/s].", 0.001, 5.0),
)
"""How fast an operator may jog."""

SERVER_SETTINGS = (
    Setting(
        "host",
        "127.0.0.1",
        "Address that the page is served on; anything but loopback needs a token.",
    ),
    Setting("port", 8080, "Port of the page; 0 for any that is free.", 0, 65535),
    Setting(
        "token",
        "",
        "What a person must enter to see the page; auto for one that is made up, empty for none.",
    ),
    Setting("tls_certificate", "", "File with the certificate of the page (PEM); empty for none."),
    Setting("tls_key", "", "File with its key (PEM), if it is not in the same file."),
    Setting(
        "allowed_hosts",
        "",
        "Names by which browsers reach the page, as name,name, besides addresses and this "
        "machine's own name.",
    ),
    *JOG_SETTINGS,
)
"""Parameters of the page and its server."""


def console_config(settings: Settings) -> ConsoleConfig:
    """How the page is served.

    Raises:
        ConsoleError: It cannot be served like that.
    """
    server = ("host", "port", "token", "tls_certificate", "tls_key")
    hosts = (host.strip() for host in settings["allowed_hosts"].split(","))
    config = ConsoleConfig(
        **{name: settings[name] for name in server},
        allowed_hosts=tuple(filter(None, hosts)),
        **settings.group("jog"),
    )
    config.check()
    return config


FRAMES_OF_CONSOLE = (BASE_FRAME, LINEAR_SPEED, *POSE_SETTINGS, *GRIPPER_SETTINGS)
"""Parameters of the robot that a console must know; the guard has them too."""

CAMERAS_OF_CONSOLE = (
    CAMERA_TOPICS,
    Setting("transport", "raw", "Pictures to receive.", choices=("raw", "compressed")),
)
"""Parameters of the cameras that a console shares with the policy."""

CONSOLE_SETTINGS = (
    *FRAMES_OF_CONSOLE,
    *CAMERAS_OF_CONSOLE,
    Setting("cameras", ["front", "wrist"], "Cameras to show, where camera_topics names none."),
    Setting("picture_rate", 10.0, "Greatest rate of pictures on the page [Hz].", 0.5, 60.0),
    Setting("picture_width", 640, "Width to which wider pictures are reduced [px].", 64, 3840),
)
"""Parameters of every console, with a page or without."""
