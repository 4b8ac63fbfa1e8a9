# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The guard's page says what the code does."""

import re
import runpy
from pathlib import Path

from magma_ros.nodes import names

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "guard.md").read_text(encoding="utf-8")


def test_tables_are_those_of_the_code():
    script = runpy.run_path(str(DOCS / "write_guard_tables.py"))
    assert script["written"](PAGE) == PAGE, "run python docs/write_guard_tables.py"


def test_every_topic_on_the_page_exists():
    known = {value for key, value in vars(names).items() if key.isupper()}
    rows = re.findall(r"^\| (`[a-z_/`, ]+`)[^|]* \| `[a-z_]+_msgs/", PAGE, re.MULTILINE)
    topics = [topic for row in rows for topic in re.findall(r"`([a-z_/]+)`", row)]
    assert len(topics) >= 15
    assert set(topics) <= known
