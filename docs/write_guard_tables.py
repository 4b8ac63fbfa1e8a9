# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of ``guard.md`` from the code; with ``--check``, only compares them.

The exit status is 1 if the page is out of date and was to be compared.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from magma_ros import embedded

embedded.install()

from magma_ros.guard import TRANSITIONS, Request  # noqa: E402 - after the ROS names are there
from magma_ros.guard.modes import REFUSALS, UNHURRIED  # noqa: E402
from magma_ros.nodes.guard_settings import GUARD_SETTINGS  # noqa: E402
from magma_ros.nodes.settings import Setting  # noqa: E402
from magma_ros.types import Mode, StopReason  # noqa: E402

PAGE = Path(__file__).resolve().parent / "guard.md"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def modes() -> str:
    """What each request leads to in each mode."""
    names = {Request.HOLD: "hold, or a fault", Request.STOP: "stop, or the emergency stop"}
    header = ["in", *(names.get(r, r.name.lower()) for r in Request)]
    rows = [[mode.name, *(_leads(mode, request) for request in Request)] for mode in Mode]
    return table(header, rows)


def reasons() -> str:
    """Every reason, and how the arm comes to rest."""
    rows = [
        [f"`{reason.name}`", reason.sentence, "decelerates" if reason in UNHURRIED else "halts"]
        for reason in StopReason
    ]
    return table(["reason", "meaning", "the arm"], rows)


def parameters() -> str:
    """Every parameter with its default and range."""
    rows = [
        [f"`{s.name}`", _default(s), _range(s), s.description.removesuffix(".")]
        for s in GUARD_SETTINGS
    ]
    return table(["parameter", "default", "range", "meaning"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "modes": modes,
    "reasons": reasons,
    "parameters": parameters,
}


def written(page: str) -> str:
    """``page`` with its tables as the code has them."""
    for name, make in TABLES.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        content = f"\n{make()}\n\n"
        page = block.sub(lambda found, c=content: found[1] + c + found[2], page)
    return page


def main(arguments: Sequence[str]) -> int:
    """Write or compare the page."""
    page = PAGE.read_text(encoding="utf-8")
    if "--check" in arguments:
        return int(page != written(page))
    PAGE.write_text(written(page), encoding="utf-8")
    return 0


def _leads(mode: Mode, request: Request) -> str:
    after = TRANSITIONS.get((mode, request))
    if after is None:
        assert (mode, request) in REFUSALS
        return "refused"
    return after.name if after is not mode else "stays"


def _default(setting: Setting) -> str:
    if setting.required:
        return "none"
    if isinstance(setting.default, bool):
        return str(setting.default).lower()
    return f"{setting.default:.4g}" if isinstance(setting.default, float) else f"{setting.default}"


def _range(setting: Setting) -> str:
    if setting.choices:
        return ", ".join(setting.choices)
    if setting.low is None or setting.high is None:
        return ""
    return f"{setting.low:.4g} to {setting.high:.4g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
