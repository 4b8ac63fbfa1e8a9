# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Looks an episode of a data set over before anything is learnt from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from magma_ros.episodes.lerobot.keys import Keys, stored_columns
from magma_ros.episodes.lerobot.layout import Info, LeRobotError
from magma_ros.episodes.lerobot.meta import Entry, VideoPart, is_there
from magma_ros.episodes.lerobot.rows import instructions, read_rows, values
from magma_ros.episodes.lerobot.video import probe

RATE_TOLERANCE = 0.05
"""How far the rate of the timestamps, or of a video, may be from the one given, as a share."""


@dataclass(frozen=True, slots=True)
class Checks:
    """Says what is wrong with an episode.

    Attributes:
        info: What the data set says of itself.
        keys: Which columns are what.
        fps: Rows a second [Hz].
        tasks: The words of each task.
        notices: Takes what is unusual and can be accepted.
    """

    info: Info
    keys: Keys
    fps: float
    tasks: Mapping[int, str]
    notices: list[str]

    def problem(self, entry: Entry) -> str:
        """What is wrong, as a clause that does not name the episode; empty if it is whole."""
        try:
            self._rows(entry)
            for key in self.keys.cameras.values():
                if key in entry.videos:
                    self._video(entry, key, entry.videos[key])
        except LeRobotError as error:
            return str(error)
        return ""

    def _rows(self, entry: Entry) -> None:
        if not is_there(entry.data):
            raise LeRobotError("the file of its rows is missing")
        wanted = {*self.keys.cameras.values()} - entry.videos.keys()
        wanted |= {self.keys.action, *filter(None, [self.keys.state]), *self.keys.own}
        if lacking := sorted(wanted - stored_columns(entry)):
            raise LeRobotError(f"its rows have no {', '.join(lacking)}")
        table = read_rows(entry)
        if len(table) != entry.length or not len(table):
            raise LeRobotError(f"it has {len(table)} rows where the list says {entry.length}")
        instructions(table, self.tasks)
        self._times(table)
        for key in filter(None, (self.keys.state, self.keys.action)):
            self._numbers(table, key)
        for key in (*self.keys.own, *self.keys.extra):
            if key in table.column_names:
                values(table, key)

    def _numbers(self, table: pa.Table, key: str) -> None:
        column = values(table, key)
        (size,) = self.info.features[key].shape
        if column.dtype.kind not in "fiub":
            raise LeRobotError(f"{key} holds no numbers")
        if (found := column.reshape(len(table), -1).shape[1]) != size:
            raise LeRobotError(f"{key} has {found} entries where the info says {size}")
        finite = np.isfinite(column.astype(float).reshape(len(table), -1)).all(axis=1)
        if not finite.all():
            raise LeRobotError(f"{key} is not finite from row {int(np.argmin(finite))} on")

    def _times(self, table: pa.Table) -> None:
        if "timestamp" not in table.column_names or len(table) < 2:
            return
        times = values(table, "timestamp").astype(float).reshape(-1)
        gap, wanted = float(np.median(np.diff(times))), 1.0 / self.fps
        if abs(gap - wanted) > RATE_TOLERANCE * wanted:
            raise LeRobotError(
                f"its timestamps are {gap:.4g} s apart, which is not {self.fps:g} Hz"
            )
        late = np.abs(times - times[0] - np.arange(len(times)) * wanted) > 0.5 * wanted
        if late.any():
            raise LeRobotError(f"its timestamps jump at row {int(np.argmax(late))}")

    def _video(self, entry: Entry, key: str, part: VideoPart) -> None:
        if not is_there(part.path):
            raise LeRobotError(f"the video of {key} is missing")
        facts = probe(part.path)
        feature = self.info.features[key]
        first = round(part.start * facts.rate)
        if entry.shared and first + entry.length > facts.frames:
            lacking = first + entry.length - facts.frames
            raise LeRobotError(f"the video of {key} ends {lacking} pictures early")
        if not entry.shared and facts.frames != entry.length:
            raise LeRobotError(
                f"the video of {key} has {facts.frames} pictures for {entry.length} rows"
            )
        if (told := _told_codec(feature.model_extra)) and told != facts.codec:
            self.notices.append(f"{key} is encoded as {facts.codec}, where the info says {told}")
        if feature.shape and (facts.height, facts.width) not in _sizes(feature.shape):
            self.notices.append(
                f"{key} is {facts.width} x {facts.height} pixels, where the info says "
                f"{' x '.join(map(str, feature.shape))}"
            )
        if abs(facts.rate - self.fps) > RATE_TOLERANCE * self.fps:
            self.notices.append(
                f"{key} plays at {facts.rate:g} Hz, where there are {self.fps:g} rows a second; "
                "its pictures are counted"
            )


def _told_codec(more: Mapping[str, object] | None) -> str:
    """The codec that a feature's info names, in FFmpeg's words; empty if it names none."""
    for place in ("info", "video_info"):
        described = (more or {}).get(place)
        if isinstance(described, Mapping) and (codec := described.get("video.codec")):
            return {"libsvtav1": "av1", "libx264": "h264", "avc1": "h264"}.get(
                str(codec), str(codec)
            )
    return ""


def _sizes(shape: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Height and width that a shape may mean, channels first or last."""
    return {shape[:2], shape[-2:]}
