# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The login page: the token is typed once, posted once, and never part of an address."""

from __future__ import annotations

import html
import math
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from magma_ros.console.config import ConsoleConfig
from magma_ros.doorkeeper import SESSION, Doorkeeper

LONGEST_FORM = 4096
"""Bytes of a form."""

POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of the login page: no scripts at all."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Operator's console: log in</title>
<link rel="stylesheet" href="/static/login.css">
</head>
<body>
<main>
<h1>Operator's console</h1>
<form method="post" action="/login">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<p role="alert">{sentence}</p>
<button type="submit">Log in</button>
</form>
</main>
</body>
</html>
"""


def login_routes(doorkeeper: Doorkeeper, config: ConsoleConfig, cookie: str) -> APIRouter:
    """Routes to log in and out.

    Args:
        doorkeeper: Judges tokens.
        config: Says whether the connection is encrypted.
        cookie: Name of the cookie that holds a session.
    """
    router = APIRouter()

    @router.get("/login")
    def show() -> Response:
        return RedirectResponse("/", 303) if doorkeeper.open else _page("", 200)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        form = b""
        async for part in request.stream():
            form += part
            if len(form) > LONGEST_FORM:
                return _page("The form is too long.", 413)
        fields = parse_qs(form.decode(errors="replace"))
        address = request.client.host if request.client else ""
        session, wait = doorkeeper.log_in(fields.get("token", [""])[0], address)
        if not session:
            return _refused(wait)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            cookie,
            session,
            max_age=int(SESSION),
            secure=config.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        doorkeeper.log_out(request.cookies.get(cookie, ""))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(cookie)
        return response

    @router.get("/session")
    def session() -> Response:
        """Reached only by who is let in."""
        return JSONResponse({"open": True})

    return router


def _refused(wait: float) -> Response:
    if not wait:
        return _page("This is not the token.", 401)
    seconds = math.ceil(wait)
    response = _page(f"Too many wrong tokens: wait {seconds} s, then try again.", 429)
    response.headers["retry-after"] = str(seconds)
    return response


def _page(sentence: str, status: int) -> Response:
    page = PAGE.format(sentence=html.escape(sentence))
    return HTMLResponse(page, status, headers={"content-security-policy": POLICY})
