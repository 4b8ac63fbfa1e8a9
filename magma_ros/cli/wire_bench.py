# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma bench wire``: malformed frames against what reads them on the server."""

from __future__ import annotations

import resource
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import track

from magma_ros.cli.common import Bundle, JsonFile, complaints, console
from magma_ros.doctor import require
from magma_ros.files import write_json
from magma_ros.types import MagmaError

if TYPE_CHECKING:
    from magma_ros.policy.contract import ObservationContract

MEMORY = 128.0
"""Memory by which the process may grow [MiB]: a few of the largest frames."""


def wire(
    *,
    frames: int = 100_000,
    seed: int = 1,
    bundle: Bundle = "magma-nano",
    json_file: JsonFile = None,
) -> int:
    """Read malformed frames: each must be read or get one sentence, in bounded memory.

    Args:
        frames: How many.
        seed: Of the chance that makes them.
        bundle: The policy whose observations they pretend to be.
        json_file: Also write the result there.
    """
    require("remote")
    from magma_ros.policy.manifest import read_manifest
    from magma_ros.remote import fuzz
    from magma_ros.share import find_bundle

    contract = read_manifest(find_bundle(bundle)).observation
    whole = _observation(contract)
    found, failures, slowest = Counter[str](), Counter[str](), 0.0
    before = _peak()
    made = fuzz.frames(whole, frames, seed)
    for frame in track(made, "reading", frames, console=complaints):
        began = time.thread_time()
        try:
            _read(frame, contract)
            found["read"] += 1
        except MagmaError as error:
            found["refused"] += 1
            failures["two lines"] += "\n" in str(error)
        except Exception as error:  # noqa: BLE001 - that there is none is what is tried
            failures[type(error).__name__] += 1
        slowest = max(slowest, time.thread_time() - began)
    result = {
        "frames": frames,
        "seed": seed,
        **found,
        "failures": {kind: count for kind, count in failures.items() if count},
        "slowest_cpu_ms": round(1e3 * slowest, 2),
        "memory_mib": round(_peak() - before, 1),
    }
    console.print_json(data=result)
    if json_file is not None:
        write_json(result, json_file)
    return int(bool(result["failures"]) or _peak() - before > MEMORY)


def _read(frame: bytes, contract: ObservationContract) -> None:
    """What the server does with a frame before the policy sees it."""
    from magma_ros.remote.messages import read_terms
    from magma_ros.remote.wire import unpack
    from magma_ros.serving.observations import read_observation

    message = unpack(frame)
    read_terms(message)
    read_observation(message, contract, 0.0)


def _observation(contract: ObservationContract) -> bytes:
    """A frame with a blank observation."""
    from magma_ros.remote.wire import pack

    images: dict[str, Any] = {
        c.name: np.zeros((c.height, c.width, 3), np.uint8) for c in contract.cameras
    }
    state = np.zeros(len(contract.proprioception))
    terms = {"id": 1, "time_left": 0.1}
    return pack({"images": images, "state": state, "prompt": "push", "request": terms})


def _peak() -> float:
    """Most memory that the process has had [MiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
