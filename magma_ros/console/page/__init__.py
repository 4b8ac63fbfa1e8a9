# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console's page: what an operator sees, and where they press.

NiceGUI lays it out once per browser; scripts in ``static/`` then draw what the server tells them
over one WebSocket (:mod:`.watch`), so that nothing is laid out anew while the robot runs and the
page can say by itself that it hears nothing. What is pressed goes through the motion link.
"""

from __future__ import annotations

from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import ui

from magma_ros.console.page import layout
from magma_ros.console.page.telemetry import Telemetry
from magma_ros.console.page.watch import serve
from magma_ros.console.robot import Robot


def mount(app: FastAPI, robot: Robot) -> None:
    """Serve the page at ``/`` of an app, and what it shows.

    To be called after every other route of the app, as NiceGUI takes all that is left.

    Args:
        app: The console's web application, which lets only those in who may watch and serves the
            scripts and style sheets below ``/static``.
        robot: What is shown.
    """
    serve(app, Telemetry(robot))
    # NiceGUI is made to run once in a process; a console may be deactivated and activated again.
    nicegui_app.middleware_stack = None
    nicegui_app.user_middleware.clear()
    ui.page("/", title="magma console")(layout.page)
    ui.run_with(
        app,
        dark=None,
        language="en-GB",
        binding_refresh_interval=None,
        tailwind=False,
        reconnect_timeout=10.0,
        show_welcome_message=False,
    )
