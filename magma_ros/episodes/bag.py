# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The layout of a recording: what rosbag2 (Jazzy, metadata version 9) calls a bag.

A folder ``<name>`` holds ``<name>_0.mcap`` and, once it is whole, ``metadata.yaml``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from magma_ros.types import MagmaError

METADATA = "metadata.yaml"
"""Written last: a folder with it is a whole bag."""

FACTS = "magma_ros"
"""Name of the MCAP metadata record with what the recorder knows of the robot. It stands at the
beginning, so that it survives any end of the recording."""

FOREVER = {"sec": 9223372036, "nsec": 854775807}
"""How rosbag2 writes an infinite duration (RMW_DURATION_INFINITE)."""


class EpisodeError(MagmaError):
    """A recording cannot be written, read or recovered."""


def remapping(name: str) -> str:
    """Under which name the recorder notes the full name of a topic that was remapped.

    Args:
        name: The topic's relative name.
    """
    return f"topic.{name}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A recorded topic.

    Attributes:
        name: Full name, such as ``/robot/ee_pose``.
        type: Type, such as ``geometry_msgs/msg/PoseStamped``.
        definition: Its definition, with those of the types it is made of.
        hash: Hash of the type description (REP-2011), such as ``RIHS01_…``.
        profiles: Qualities of service, as :func:`profile` makes them.
        encoding: Language of the definition.
    """

    name: str
    type: str
    definition: str
    hash: str
    profiles: tuple[dict[str, Any], ...]
    encoding: str = "ros2msg"

    def channel_metadata(self) -> dict[str, str]:
        """What rosbag2's MCAP plugin writes into the channel."""
        return {
            "offered_qos_profiles": dump(list(self.profiles)).strip(),
            "topic_type_hash": self.hash,
        }


def profile(*, depth: int, reliable: bool, latched: bool) -> dict[str, Any]:
    """A quality of service as rosbag2 writes it."""
    return {
        "history": "keep_last",
        "depth": depth,
        "reliability": "reliable" if reliable else "best_effort",
        "durability": "transient_local" if latched else "volatile",
        "deadline": FOREVER,
        "lifespan": FOREVER,
        "liveliness": "automatic",
        "liveliness_lease_duration": FOREVER,
        "avoid_ros_namespace_conventions": False,
    }


def bag_information(
    file: str, topics: Sequence[tuple[Topic, int]], start: int, end: int
) -> dict[str, Any]:
    """The content of ``metadata.yaml``, without its outer key.

    Args:
        file: Name of the MCAP file.
        topics: Topics, each with its number of messages.
        start: Earliest log time [ns].
        end: Latest log time [ns].
    """
    count = sum(number for _, number in topics)
    span = {
        "starting_time": {"nanoseconds_since_epoch": start},
        "duration": {"nanoseconds": max(0, end - start)},
        "message_count": count,
    }
    return {
        "version": 9,
        "storage_identifier": "mcap",
        "relative_file_paths": [file],
        **span,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": list(topic.profiles),
                    "type_description_hash": topic.hash,
                },
                "message_count": number,
            }
            for topic, number in topics
        ],
        "compression_format": "",
        "compression_mode": "",
        "files": [{"path": file, **span}],
        "custom_data": None,
        "ros_distro": "jazzy",
    }


def dump(content: Any) -> str:
    """Plain data as YAML, in the order given and without aliases."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """What stands in two places is written twice."""
        del data
        return True


def make_episode(directory: Path) -> Path:
    """Make the first free folder ``episode_<n>`` below ``directory``, and return it.

    Raises:
        EpisodeError: It cannot be made.
    """
    number = 0
    while True:
        folder = directory / f"episode_{number}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            if not directory.is_dir():
                raise EpisodeError(f"cannot record into {directory}: it is no folder") from None
            number += 1
        except OSError as error:
            raise EpisodeError(f"cannot record into {directory}: {error.strerror}") from error
        else:
            return folder
