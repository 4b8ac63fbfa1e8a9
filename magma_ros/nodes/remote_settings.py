# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of a policy elsewhere."""

from __future__ import annotations

from magma_ros.nodes.settings import Setting

REMOTE_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "remote_only",
        False,
        "Whether there is no policy here: no bundle is loaded, and the arm holds while the policy "
        "elsewhere does not answer.",
    ),
    Setting(
        "remote.address",
        "",
        "Server of a policy elsewhere, ws://HOST:PORT or wss://HOST:PORT; empty for that of the "
        "bundle's remote.yaml, if it has one, and off for none.",
    ),
    Setting("remote.contract", "", "File that says what it takes and gives (docs/remote.md)."),
    Setting("remote.token_file", "", "File with the token it is to be given; empty for none."),
    Setting("remote.ca_file", "", "Certificates to trust (PEM); empty for the system's."),
    Setting("remote.jpeg_quality", 85, "Of pictures sent as JPEG.", 1, 100, live=True),
    Setting(
        "remote.fallback",
        "local",
        "While the line is cut or silent: local, the bundle's exits lead the robot alone; hold, "
        "they only bridge late answers, and the arm comes to rest.",
        choices=("local", "hold"),
    ),
    Setting(
        "remote.wait",
        "always",
        "Whether its answer is waited for, up to the deadline: always, or only if the gate is "
        "unsure of the exits here.",
        choices=("always", "unsure"),
        live=True,
    ),
    Setting(
        "remote.longest_age",
        0.3,
        "How much older than the newest observation the one may be that a late plan answers [s].",
        0.0,
        1.0,
    ),
    Setting("remote.timeout", 1.0, "Silence after which the line is opened anew [s].", 0.1, 60.0),
)
"""Of the policy node."""
