# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chooses what runs the graphs: TensorRT, CUDA or the CPU, and says why a better one cannot.

ONNX Runtime lists every execution provider that it was built with, whether or not the libraries,
the driver and the GPU are there, and goes on without one that fails to load. Here that is found out
beforehand.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import logging
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime as ort

CPU = "CPUExecutionProvider"
"""The execution provider that is always there."""

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

ON_GPU = (TENSORRT, CUDA)
"""Execution providers whose tensors live in the memory of a CUDA device, best first."""

RECORD_PLACEMENT = "session.record_ep_graph_assignment_info"
"""Setting of a session that has ONNX Runtime remember which provider runs which operator."""

_LIBRARIES = {
    TENSORRT: "libonnxruntime_providers_tensorrt.so",
    CUDA: "libonnxruntime_providers_cuda.so",
}
"""What ONNX Runtime loads for each of them."""

_PACKAGES = {
    "libcuda.": "NVIDIA's driver",
    "libcudnn": "cuDNN",
    "libnvinfer": "TensorRT",
    "libnvonnxparser": "TensorRT",
}
"""Where libraries come from whose names begin so; the others are CUDA's."""

_DRIVER = "libcuda.so.1"

_log = logging.getLogger(__name__)


def choose(wanted: Sequence[str]) -> list[str]:
    """The execution providers to use, in the order wanted, and always ending in the CPU.

    Each wanted provider that cannot be used here is left out, with a warning that says what is
    missing.
    """
    return without_unusable(wanted, why_not)


def without_unusable(wanted: Sequence[str], why_unusable: Callable[[str], str]) -> list[str]:
    """What :func:`choose` does, with the judge handed in.

    Args:
        wanted: Names, best first.
        why_unusable: What a provider lacks, or nothing.
    """
    usable = []
    for name in dict.fromkeys(wanted):
        if name == CPU:
            break  # it can run everything, so what is named after it would be given nothing
        if problem := why_unusable(name):
            _log.warning("%s is not available: %s", name, problem)
        else:
            usable.append(name)
    return [*usable, CPU]


@cache
def why_not(provider: str) -> str:
    """Why a provider cannot be used here, as part of a sentence; empty if it can."""
    available = ort.get_available_providers()
    if provider not in available:
        remedy = "; install the extra gpu, see docs/gpu.md" if provider in ON_GPU else ""
        return f"this onnxruntime was built with {', '.join(available)} alone{remedy}"
    if provider not in ON_GPU:
        return ""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it misses, also the optional
        ort.preload_dlls()  # those of NVIDIA's wheels, which lie on no path
    folder = Path(ort.__file__).parent / "capi"
    if missing := missing_libraries(folder / _LIBRARIES[provider]):
        named = ", ".join(f"{name} ({_package(name)})" for name in missing)
        return f"these libraries are not found: {named}"
    return _driver_problem()


def missing_libraries(library: Path) -> list[str]:
    """The shared libraries that a library needs and that this process cannot load.

    Empty too if the library is not there or ``ldd`` is not: then ONNX Runtime has the last word.
    """
    ldd = shutil.which("ldd")
    if ldd is None or not library.is_file():
        return []
    told = subprocess.run(  # noqa: S603 (a library of an installed package)
        [ldd, str(library)], capture_output=True, text=True, check=False
    )
    absent = re.findall(r"^\s*(\S+) => not found", told.stdout, re.MULTILINE)
    return [name for name in dict.fromkeys(absent) if not _loads(name)]


def with_options(
    providers: Sequence[str], checksums: Sequence[str]
) -> list[tuple[str, dict[str, Any]]]:
    """Providers as a session takes them.

    TensorRT keeps the engines that it builds, which takes minutes. It knows them again by the
    names in a graph and not by its weights, so that those of each content have a folder of their
    own.

    Args:
        providers: Names, best first.
        checksums: Of the graph's file and of those with its weights, in hexadecimal.
    """
    content = hashlib.sha256(" ".join(checksums).encode()).hexdigest()
    engines = str(cache_folder() / "tensorrt" / content[:16])
    options: dict[str, dict[str, Any]] = {
        TENSORRT: {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": engines,
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": engines,
        }
    }
    return [(name, options.get(name, {})) for name in providers]


def cache_folder() -> Path:
    """Where what can be made again is kept, by the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "magma_ros"


def memory_of(sessions: Sequence[ort.InferenceSession]) -> str:
    """Where tensors between the stages live, as ``OrtValue`` calls it: ``cuda`` or ``cpu``.

    On the GPU if all stages run there; if only some do, ONNX Runtime copies from and to the CPU.
    """
    on_gpu = all(session.get_providers()[0] in ON_GPU for session in sessions)
    return "cuda" if sessions and on_gpu else "cpu"


def operators_on_cpu(session: ort.InferenceSession) -> dict[str, int] | None:
    """Operators of a graph that run on the CPU though another provider runs it, and how many each.

    ONNX Runtime places there what a provider lacks, and small arithmetic with shapes. None where it
    is too old to say; its session must have been opened with :data:`RECORD_PLACEMENT`.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None  # before 1.24
    if session.get_providers()[0] == CPU:
        return {}
    groups = session.get_provider_graph_assignment_info()
    kinds = (node.op_type for g in groups if g.ep_name == CPU for node in g.get_nodes())
    return dict(Counter(kinds))


def gpus() -> int:
    """How many NVIDIA GPUs the driver finds; 0 if there is no driver."""
    count, _ = _ask_driver()
    return count


def gpu_memory() -> int:
    """Bytes of memory of the first NVIDIA GPU; 0 if the driver finds none."""
    if not gpus():
        return 0
    driver = ctypes.CDLL(_DRIVER)
    device, size = ctypes.c_int(0), ctypes.c_size_t(0)
    error = driver.cuDeviceGet(ctypes.byref(device), 0) or driver.cuDeviceTotalMem_v2(
        ctypes.byref(size), device
    )
    return 0 if error else size.value


def _driver_problem() -> str:
    count, problem = _ask_driver()
    return "" if count else problem


def _ask_driver() -> tuple[int, str]:
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return 0, f"there is no NVIDIA driver ({_DRIVER})"
    count = ctypes.c_int(0)
    error = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if error:
        return 0, f"NVIDIA's driver finds no GPU that it can use (CUDA error {error})"
    return count.value, "" if count.value else "NVIDIA's driver finds no GPU"


def _package(library: str) -> str:
    return next((p for start, p in _PACKAGES.items() if library.startswith(start)), "CUDA")


def _loads(library: str) -> bool:
    """Whether the dynamic loader finds a library, on its paths or in this process already."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
