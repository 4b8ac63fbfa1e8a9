# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The best execution provider that works is used, and what keeps a better one away is named."""

import logging
from pathlib import Path

import onnxruntime as ort
import pytest

from magma_ros.policy import providers
from magma_ros.policy.providers import CPU, CUDA, TENSORRT, without_unusable


def judge(**reasons):
    return lambda name: reasons.get(name, "")


def test_providers_are_used_in_the_order_wanted_and_the_cpu_last():
    assert without_unusable([TENSORRT, CUDA], judge()) == [TENSORRT, CUDA, CPU]
    assert without_unusable([CUDA, TENSORRT, CUDA], judge()) == [CUDA, TENSORRT, CPU]


def test_nothing_comes_after_the_cpu():
    assert without_unusable([CPU, CUDA], judge()) == [CPU]
    assert without_unusable([], judge()) == [CPU]


def test_what_a_provider_lacks_is_named_and_the_next_one_used(caplog):
    lacking = judge(**{TENSORRT: "these libraries are not found: libnvinfer.so.10 (TensorRT)"})
    with caplog.at_level(logging.WARNING):
        assert without_unusable([TENSORRT, CUDA], lacking) == [CUDA, CPU]
    (record,) = caplog.records
    assert record.getMessage() == (
        "TensorrtExecutionProvider is not available: "
        "these libraries are not found: libnvinfer.so.10 (TensorRT)"
    )


def test_a_provider_that_nobody_knows_is_named_with_those_that_are_there(caplog):
    assert providers.choose(["NoExecutionProvider"]) == [CPU]
    assert "NoExecutionProvider is not available" in caplog.text
    assert CPU in caplog.text


@pytest.mark.skipif(CUDA in ort.get_available_providers(), reason="it is there")
def test_without_the_package_for_gpus_the_remedy_is_named():
    assert "extra gpu" in providers.why_not(CUDA)
    assert "extra gpu" not in providers.why_not("NoExecutionProvider")


def test_a_library_that_is_sound_lacks_nothing():
    (library,) = (Path(ort.__file__).parent / "capi").glob("libonnxruntime_providers_shared.so")
    assert providers.missing_libraries(library) == []
    assert providers.missing_libraries(library.with_name("none.so")) == []


def test_every_library_that_is_not_found_is_named(tmp_path, monkeypatch):
    tool = tmp_path / "ldd"
    tool.write_text(
        "#!/bin/sh\n"
        "printf '\\tlibnowhere.so.9 => not found\\n\\tlibc.so.6 => /lib/libc.so.6 (0x0)\\n'\n"
        "printf '\\tlibnotthere.so.1 => not found\\n\\tlibc.so.6 => not found\\n'\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    library = tmp_path / "some.so"
    library.touch()
    # The C library is loaded already, whatever path it came by.
    assert providers.missing_libraries(library) == ["libnowhere.so.9", "libnotthere.so.1"]


def test_engines_of_other_weights_are_never_taken_for_these(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def folder(*checksums):
        (name, options), cpu = providers.with_options([TENSORRT, CPU], checksums)
        assert (name, cpu) == (TENSORRT, (CPU, {}))
        return options["trt_engine_cache_path"]

    assert folder("a", "b") == folder("a", "b")
    assert len({folder("a"), folder("b"), folder("a", "b"), folder("ab")}) == 4
    assert folder("a").startswith(str(tmp_path / "magma_ros"))


def test_tensors_stay_on_the_gpu_only_if_every_stage_runs_there():
    class Session:
        def __init__(self, *names):
            self.names = names

        def get_providers(self):
            return list(self.names)

    assert providers.memory_of([Session(TENSORRT, CUDA, CPU), Session(CUDA, CPU)]) == "cuda"
    assert providers.memory_of([Session(CUDA, CPU), Session(CPU)]) == "cpu"
    assert providers.memory_of([]) == "cpu"
