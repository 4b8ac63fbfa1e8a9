# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma doctor``: what this machine lacks."""

from __future__ import annotations

from magma_ros.cli.common import JsonFile, console
from magma_ros.files import write_json


def doctor(*, json_file: JsonFile = None) -> int:
    """Say what is missing on this machine, and the one command that fixes it.

    Args:
        json_file: Also write the findings there.
    """
    from magma_ros.doctor import examine
    from magma_ros.tables import doctor_table

    findings = examine()
    console.print(doctor_table(findings))
    if json_file is not None:
        write_json([finding.as_dict() for finding in findings], json_file)
    return 0 if all(finding.ok or finding.optional for finding in findings) else 1
