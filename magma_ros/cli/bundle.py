# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma bundle``: look into a policy bundle, or make one of policies that are there."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from cyclopts import App

from magma_ros.cli.common import Bundle, JsonFile, console
from magma_ros.cli.creation import create
from magma_ros.doctor import require
from magma_ros.files import write_json
from magma_ros.share import find_bundle

bundle_app = App(
    name="bundle", help="Look into a policy bundle, or make one of an ONNX file or of two bundles."
)
bundle_app.command(create)


@bundle_app.command
def verify(bundle: Bundle = "magma-nano") -> int:
    """Check every file, checksum and shape in the folder of a bundle, and run it once.

    Args:
        bundle: Policy bundle.
    """
    from magma_ros.doctor import check_bundle

    checks = check_bundle(bundle)
    for check in checks:
        console.print(f"{'ok ' if check.problem is None else 'BAD'} {check.subject}")
        if check.problem is not None:
            console.print(f"    {check.problem}")
    return 0 if all(check.problem is None for check in checks) else 1


@bundle_app.command
def inspect(bundle: Bundle = "magma-nano", *, json_file: JsonFile = None) -> int:
    """Show what a bundle expects, what it costs, and where it came from.

    Args:
        bundle: Policy bundle.
        json_file: Also write the manifest there.
    """
    from magma_ros.policy.report import inspect as summarise
    from magma_ros.tables import bundle_tables

    summary = summarise(find_bundle(bundle))
    for table in bundle_tables(summary):
        console.print(table)
    if json_file is not None:
        write_json(summary.manifest.model_dump(mode="json"), json_file)
    return 0


@bundle_app.command
def cascade(
    first: Bundle, then: Bundle, *, out: Path, name: str = "", description: str = ""
) -> int:
    """Put a small policy in front of a large one: one bundle with the exits of both.

    The gate then has the small one's plan early, where the large one's first exit would come late.
    Both must take the same measured values and words and plan the same actions. Calibrate the
    result: neither's thresholds hold for it.

    Args:
        first: Bundle of the policy whose exits come first.
        then: Bundle of the policy that goes on.
        out: Folder of the new bundle; replaced only once the new one is complete.
        name: Of the new policy; that of the second by default.
        description: Of the new policy; that of the second by default.
    """
    require("create")
    from magma_ros.models.export.cascade import make_cascade
    from magma_ros.policy.report import inspect as summarise
    from magma_ros.tables import bundle_tables

    command = shlex.join(["magma", *sys.argv[1:]])
    make_cascade(
        find_bundle(first), find_bundle(then), out, command, name=name, description=description
    )
    for table in bundle_tables(summarise(out)):
        console.print(table)
    console.print(f"{out} is whole and has run once; magma calibrate --bundle {out} comes next.")
    return 0
