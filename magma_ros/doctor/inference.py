# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Examines ONNX Runtime: which package of it is installed, and what it would run policies on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import metadata

from magma_ros.doctor.finding import Finding

PACKAGES = ("onnxruntime-gpu", "onnxruntime")
"""Packages that hold the module ``onnxruntime``: either of them, never both."""

TO_GPU = (
    "pip uninstall --yes onnxruntime onnxruntime-gpu && "
    "pip install 'onnxruntime-gpu[cuda,cudnn]>=1.23'"
)
"""Replaces whatever there is of ONNX Runtime by the package that knows GPUs."""


def versions(find: Callable[[str], str] = metadata.version) -> dict[str, str]:
    """The versions of those of :data:`PACKAGES` that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = find(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def examine() -> list[Finding]:
    """What policies would run on here, and what keeps them from a GPU."""
    from magma_ros.policy import providers

    reasons = {name: providers.why_not(name) for name in providers.ON_GPU}
    return [packages(versions()), accelerators(list(versions()), reasons, providers.gpus())]


def packages(found: dict[str, str]) -> Finding:
    """Whether one package of ONNX Runtime is installed, and not two that overwrite each other."""
    told = ", ".join(f"{name} {version}" for name, version in found.items())
    if len(found) > 1:
        detail = f"{told}: they overwrite each other's files; the GPU may not be used"
        return Finding("onnxruntime", ok=False, detail=detail, fix=TO_GPU, optional=True)
    return Finding("onnxruntime", ok=True, detail=told or "of unknown origin", optional=True)


def accelerators(installed: Sequence[str], reasons: dict[str, str], gpus: int) -> Finding:
    """Which execution providers can be used, and which would be if all were wanted.

    Args:
        installed: Packages of ONNX Runtime.
        reasons: Why each provider on a GPU cannot be used, best first; empty if it can.
        gpus: How many GPUs the driver finds.
    """
    usable = [name for name, reason in reasons.items() if not reason]
    if usable:
        lacking = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
        detail = f"{usable[0]} can be used{''.join(f'; {each}' for each in lacking)}"
        return Finding("providers", ok=True, detail=detail, optional=True)
    detail = "CPUExecutionProvider alone can be used"
    if not gpus and "onnxruntime-gpu" not in installed:
        detail += "; for a GPU there is the extra gpu"
        return Finding("providers", ok=True, detail=detail, optional=True)
    why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    # With CUDA's libraries from the same wheels, what is left to be missing is the driver.
    fix = TO_GPU if gpus else "install NVIDIA's driver, or show the GPU to this container"
    return Finding("providers", ok=False, detail=f"{detail}; {why}", fix=fix, optional=True)
