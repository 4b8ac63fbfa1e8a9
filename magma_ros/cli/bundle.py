# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma bundle``: look into a policy bundle, or make one of a policy trained elsewhere."""

from __future__ import annotations

from cyclopts import App

from magma_ros.cli.common import Bundle, JsonFile, console
from magma_ros.cli.creation import create
from magma_ros.files import write_json
from magma_ros.share import find_bundle

bundle_app = App(name="bundle", help="Look into a policy bundle, or make one of an ONNX file.")
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
