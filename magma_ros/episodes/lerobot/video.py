# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos of a data set: encoded picture by picture, decoded at the frames asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np

from magma_ros.episodes.lerobot.layout import LeRobotError
from magma_ros.types import ImageArray

os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 otherwise prints its settings for each video

CODECS = {"av1": "libsvtav1", "h264": "libx264", "h264-444": "libx264"}
"""FFmpeg's encoder for each codec that is written; what follows a dash is the pixels' format."""

_OPTIONS = {
    "av1": {"crf": "30", "g": "2", "preset": "10"},
    "h264": {"crf": "20", "g": "2", "preset": "veryfast"},
    "h264-444": {"crf": "8", "g": "2", "preset": "veryfast"},
}
"""A key frame every other frame, so that single frames decode quickly, as LeRobot has it.

Small pictures of a simulator, with coloured things a few pixels wide, suffer from colours at half
the resolution: what the first two give back is at 33 dB from what was drawn, the third at 44 dB.
"""


def named(codec: str) -> tuple[str, str]:
    """What the info calls a codec of :data:`CODECS`, and the format of its pixels."""
    name, _, sampling = codec.partition("-")
    return name, f"yuv{sampling or '420'}p"


@cache
def usable_codec(wanted: str, height: int, width: int) -> str:
    """``wanted``, or another codec if this FFmpeg cannot encode pictures of that size with it.

    Raises:
        LeRobotError: None can.
    """
    for codec in dict.fromkeys((wanted, *CODECS)):
        with suppress(av.error.FFmpegError, ValueError):
            writer = VideoWriter(BytesIO(), codec, height, width, 10)
            writer.add(np.zeros((height, width, 3), np.uint8))
            writer.close()
            return codec
    raise LeRobotError(
        f"pictures of {width} x {height} pixels cannot be encoded as {' or '.join(CODECS)}; both "
        "want even numbers"
    )


class VideoWriter:
    """Encodes pictures at a steady rate as MP4.

    Args:
        file: Path, or a file in memory.
        codec: One of :data:`CODECS`.
        height: Of the pictures [px].
        width: Of the pictures [px].
        fps: Frames a second.

    Attributes:
        frames: Pictures added so far.
        size: What came out of the encoder so far [bytes]; it holds the last pictures for a while.
    """

    def __init__(self, file: Path | BytesIO, codec: str, height: int, width: int, fps: int) -> None:
        self.frames = self.size = 0
        self._container = av.open(
            file if isinstance(file, BytesIO) else str(file), "w", format="mp4"
        )
        stream: Any = self._container.add_stream(
            CODECS[codec], rate=fps, options=dict(_OPTIONS[codec])
        )
        stream.width, stream.height, stream.pix_fmt = width, height, named(codec)[1]
        self._stream, self._period = stream, Fraction(1, fps)

    def add(self, picture: ImageArray) -> None:
        """Append one picture, (H, W, 3) uint8 RGB."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = self.frames, self._period
        self.frames += 1
        with same_priority():
            self._write(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds, and the index."""
        if self.frames:
            self._write(self._stream.encode())
        self._container.close()

    def _write(self, packets: list[Any]) -> None:
        self.size += sum(packet.size for packet in packets)
        self._container.mux(packets)


@contextmanager
def same_priority() -> Iterator[None]:
    """Take back the real-time priority that an encoder claims for the threads of this process.

    Where it may, as root may, SVT-AV1 puts its threads and the calling one under SCHED_FIFO, with
    the highest priority: a process that had ever written a video, and all that it starts, would
    then keep every other from the cores.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    real_time = {os.SCHED_FIFO, os.SCHED_RR}
    before = _threads(real_time)
    try:
        yield
    finally:
        for thread in _threads(real_time) - before:
            with suppress(ProcessLookupError):
                os.sched_setscheduler(thread, policy, parameters)


def _threads(policies: set[int]) -> set[int]:
    """Threads of this process under one of these scheduling policies."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):
            if os.sched_getscheduler(int(task.name)) in policies:
                found.add(int(task.name))
    return found


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video file says of itself: codec, size [px], frames and their rate [Hz]."""

    codec: str
    height: int
    width: int
    frames: int
    rate: float


def probe(path: Path) -> VideoFacts:
    """Read the facts of a video; frames are counted if the file does not give their number.

    Raises:
        LeRobotError: It cannot be read as a video.
    """
    try:
        return _probe(path, path.stat().st_mtime_ns)
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise LeRobotError(f"{path} is no video that can be read ({error})") from error


@cache
def _probe(path: Path, changed: int) -> VideoFacts:
    del changed  # part of the key: many episodes share a file
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = container.demux(stream)
        count = stream.frames or sum(packet.pts is not None for packet in packets)
        return VideoFacts(
            stream.codec_context.codec.canonical_name,
            stream.height,
            stream.width,
            count,
            float(stream.average_rate or 0),
        )


def frames(path: Path, first: int, fps: float, numbers: Sequence[int]) -> Iterator[ImageArray]:
    """Decode some frames of a part of a video.

    Args:
        path: The file.
        first: Number of the part's first frame in the file.
        fps: Frames a second, of the file.
        numbers: Numbers within the part, increasing.

    Yields:
        (H, W, 3) uint8 RGB, one a number.

    Raises:
        LeRobotError: The file is damaged or ends before them.
    """
    wanted = iter(numbers)
    number = next(wanted, None)
    if number is None:
        return
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            base = float(stream.time_base or 0) or 1.0 / fps
            start = (stream.start_time or 0) * base
            if first + number:
                # A little early, as times are rounded; what comes before is skipped below.
                target = start + (first + number - 0.5) / fps
                container.seek(max(0, int(target / base)), stream=stream)
            for frame in container.decode(stream):
                found = round(((frame.pts or 0) * base - start) * fps) - first
                if found < number:
                    continue
                picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                while number is not None and found >= number:
                    yield picture
                    number = next(wanted, None)
                if number is None:
                    return
    except (av.error.FFmpegError, IndexError, OSError, TypeError) as error:
        raise LeRobotError(f"{path} is damaged ({error})") from error
    raise LeRobotError(f"{path} ends before its frame {first + number}")
