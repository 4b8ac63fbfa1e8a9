# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics and messages to record."""

import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from magma_ros.episodes.bag import Topic, profile
from magma_ros.episodes.writer import EpisodeWriter

STORE = get_typestore(Stores.ROS2_JAZZY)


@pytest.fixture
def make_topic():
    """A topic of a standard type."""

    def make(name, kind="std_msgs/msg/String", *, latched=False):
        definition, _ = STORE.generate_msgdef(kind, ros_version=2)
        qos = profile(depth=10, reliable=True, latched=latched)
        return Topic(name, kind, definition, STORE.hash_rihs01(kind), (qos,))

    return make


@pytest.fixture
def text():
    """A serialised std_msgs/String."""
    kind = "std_msgs/msg/String"
    return lambda content: bytes(STORE.serialize_cdr(STORE.types[kind](content), kind))


@pytest.fixture
def stamped():
    """The beginning of a serialised message with a header, and some more bytes."""
    return lambda seconds, nanoseconds=0, size=0: (
        b"\0\1\0\0" + struct.pack("<iI", seconds, nanoseconds) + bytes(size)
    )


START = 1_700_000_000.0
"""When made-up episodes begin [s]."""


@dataclass
class Scene:
    """A made-up episode: a robot in a namespace whose messages are given one by one.

    Times are seconds since the start; every message is heard ``delay`` after its stamp.
    """

    folder: Path
    namespace: str = ""
    delay: float = 0.002
    facts: dict = field(default_factory=dict)
    messages: list = field(default_factory=list)

    def add(self, topic, kind, time, *, heard=None, raw=None, **values):
        message = raw if raw is not None else self.make(kind, time, **values)
        heard = time + self.delay if heard is None else heard
        self.messages.append((heard, f"{self.namespace}/{topic}", kind, message))

    def make(self, kind, time, **values):
        kind_class = STORE.types[kind]
        if "header" in kind_class.__dataclass_fields__:
            values["header"] = self.header(time, values.pop("frame_id", "base_link"))
        return bytes(STORE.serialize_cdr(kind_class(**values), kind))

    @staticmethod
    def header(time, frame_id):
        nanoseconds = round((START + time) * 1e9)
        stamp = STORE.types["builtin_interfaces/msg/Time"](*divmod(nanoseconds, 10**9))
        return STORE.types["std_msgs/msg/Header"](stamp, frame_id)

    def pose(self, time, x, yaw=0.0, **where):
        point = STORE.types["geometry_msgs/msg/Point"](x, 0.1, 0.2)
        turn = STORE.types["geometry_msgs/msg/Quaternion"](
            0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)
        )
        pose = STORE.types["geometry_msgs/msg/Pose"](point, turn)
        self.add("ee_pose", "geometry_msgs/msg/PoseStamped", time, pose=pose, **where)

    def twist(self, time, linear=(0.0, 0.0, 0.0), angular=(0.0, 0.0, 0.0)):
        vector = STORE.types["geometry_msgs/msg/Vector3"]
        twist = STORE.types["geometry_msgs/msg/Twist"](vector(*linear), vector(*angular))
        kind = "geometry_msgs/msg/TwistStamped"
        self.add("servo_node/delta_twist_cmds", kind, time, twist=twist)

    def transform(self, topic, time, parent, child, moved, yaw=0.0):
        turn = STORE.types["geometry_msgs/msg/Quaternion"](
            0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)
        )
        transform = STORE.types["geometry_msgs/msg/TransformStamped"](
            self.header(time, parent),
            child,
            STORE.types["geometry_msgs/msg/Transform"](
                STORE.types["geometry_msgs/msg/Vector3"](*moved), turn
            ),
        )
        self.add(topic, "tf2_msgs/msg/TFMessage", time, transforms=[transform])

    def joint(self, time, position, topic="joint_states"):
        self.add(
            topic,
            "sensor_msgs/msg/JointState",
            time,
            name=["finger"],
            position=np.array([position]),
            velocity=np.zeros(0),
            effort=np.zeros(0),
        )

    def joints(self, time, topic="joint_states", **positions):
        values = {"position": np.array(list(positions.values())), "name": list(positions)}
        kind = "sensor_msgs/msg/JointState"
        self.add(topic, kind, time, **values, velocity=np.zeros(0), effort=np.zeros(0))

    def trajectory(self, time, topic="joint_trajectory_controller/joint_trajectory", **positions):
        point = STORE.types["trajectory_msgs/msg/JointTrajectoryPoint"](
            positions=np.array(list(positions.values())),
            velocities=np.zeros(0),
            accelerations=np.zeros(0),
            effort=np.zeros(0),
            time_from_start=STORE.types["builtin_interfaces/msg/Duration"](0, 20_000_000),
        )
        names = {"joint_names": list(positions), "points": [point]}
        self.add(topic, "trajectory_msgs/msg/JointTrajectory", time, **names)

    def numbers(self, topic, time, values):
        layout = STORE.types["std_msgs/msg/MultiArrayLayout"]([], 0)
        kind = "std_msgs/msg/Float64MultiArray"
        self.add(topic, kind, time, layout=layout, data=np.array(values))

    def text(self, topic, time, text):
        self.add(topic, "std_msgs/msg/String", time, data=text)

    def status(self, topic, time, message="", **values):
        pair = STORE.types["diagnostic_msgs/msg/KeyValue"]
        self.add(
            topic,
            "diagnostic_msgs/msg/DiagnosticStatus",
            time,
            level=0,
            name=topic,
            message=message,
            hardware_id="",
            values=[pair(key, str(value)) for key, value in values.items()],
        )

    def mode(self, time, mode, source, reason=""):
        self.status("guard/mode", time, mode=mode, reason=reason, source=source)

    def point(self, time, x, y, camera="front"):
        place = STORE.types["geometry_msgs/msg/Point"](x, y, 0.0)
        kind = "geometry_msgs/msg/PointStamped"
        frame = f"{camera}_camera_optical"
        self.add("instruction/point", kind, time, point=place, frame_id=frame)

    def picture(self, time, grey, camera="front", size=(48, 64), **where):
        height, width = size
        self.add(
            f"camera/{camera}/image_raw",
            "sensor_msgs/msg/Image",
            time,
            height=height,
            width=width,
            encoding="rgb8",
            is_bigendian=0,
            step=3 * width,
            data=np.full(3 * height * width, grey, np.uint8),
            **where,
        )

    def usual(self, seconds=2.0, instruction="pick the red cube"):
        """A robot that moves at 0.1 m/s along x under its policy, its gripper open."""
        self.text("instruction", 0.0, instruction)
        self.mode(0.0, "AUTO", "policy")
        for tick in range(round(50 * seconds) + 1):
            time = tick / 50
            self.pose(time, 0.4 + 0.1 * time)
            self.joint(time, 0.04)
            self.joint(time, 0.04, "gripper/command")
            self.twist(time, (0.1, 0.0, 0.0))
            if tick % 5 == 0:
                self.picture(time, tick % 256)
                self.status("policy/status", time, depth=1 + tick % 3)
        return self

    def write(self):
        """Make the bag, and return its folder."""
        self.folder.mkdir(parents=True)
        writer = EpisodeWriter(self.folder, self.facts)
        channels = {}
        for heard, topic, kind, data in sorted(self.messages, key=lambda m: m[0]):
            if topic not in channels:
                definition, _ = STORE.generate_msgdef(kind, ros_version=2)
                qos = profile(depth=10, reliable=True, latched=False)
                channels[topic] = writer.add(
                    Topic(topic, kind, definition, STORE.hash_rihs01(kind), (qos,))
                )
            when = round((START + heard) * 1e9)
            writer.write(channels[topic], data, log_time=when, publish_time=when)
        writer.close()
        return self.folder


@pytest.fixture
def scene(tmp_path):
    """Make an episode message by message."""
    return lambda name="episode_0", **settings: Scene(tmp_path / "runs" / name, **settings)


CAMERA = "observation.images.cam_high"


def write_video(path, pictures, *, fps=30, encoder="libsvtav1"):
    import av

    from magma_ros.episodes.lerobot.video import same_priority

    path.parent.mkdir(parents=True, exist_ok=True)
    with same_priority(), av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=fps, options={"crf": "20", "g": "2"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def as_png(picture):
    import cv2

    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


def grey(value, size=(64, 64)):
    return np.full((*size, 3), value, np.uint8)


@dataclass
class Elsewhere:
    """A LeRobot data set as others write it, straight from the layout's description.

    Change what is written, then write it.

    Picture k of episode e is grey, of value 10 * e + 4 * k + 20.
    """

    folder: Path
    version: str = "v2.1"
    lengths: tuple = (5, 4)
    fps: int = 10
    size: int = 26
    scale: float = 1.0
    state: str = "observation.state"
    action: str = "action"
    camera: str = CAMERA
    others: tuple = ()  # cameras beside it, which show the same
    names: dict = field(default_factory=dict)  # of the columns of state and action
    videos: str = "videos"
    stored: str = "video"
    encoder: str = "libsvtav1"
    info: dict = field(default_factory=dict)
    tasks: tuple = ("Pick up the yellow bottle.", "Räume die Flasche weg, 瓶子")
    extra: dict = field(default_factory=dict)

    def columns(self, episode):
        length = self.lengths[episode]
        rows = np.arange(length)
        values = (episode + rows[:, None] / 10 + np.arange(self.size)).astype(np.float32)
        widths = {name: len(self.names.get(name, ())) for name in (self.state, self.action)}
        return {
            self.state: values[:, : widths[self.state] or None],
            self.action: -values[:, : widths[self.action] or None] * self.scale,
            **{name: make(episode, rows) for name, make in self.extra.items()},
            "timestamp": (rows / self.fps).astype(np.float32),
            "frame_index": rows,
            "episode_index": np.full(length, episode),
            "index": sum(self.lengths[:episode]) + rows,
            "task_index": np.full(length, episode % len(self.tasks)),
        }

    def table(self, columns):
        import pyarrow as pa

        arrays = []
        for values in columns.values():
            if values.ndim == 2:
                flat = pa.array(values.ravel())
                arrays.append(pa.FixedSizeListArray.from_arrays(flat, values.shape[1]))
            else:
                arrays.append(pa.array(values))
        return pa.table(arrays, names=list(columns))

    def pictures(self, episode):
        return [grey(20 + 10 * episode + 4 * k) for k in range(self.lengths[episode])]

    def features(self):
        joints = [f"joint_{number}" for number in range(self.size)]

        def vector(column):
            names = list(self.names.get(column, joints))
            return {"dtype": "float32", "shape": [len(names)], "names": [names]}

        scalar = {"shape": [1], "names": None}
        video = {
            "dtype": self.stored,
            "shape": [64, 64, 3],
            "names": ["height", "width", "channel"],
            "info": {"video.codec": "av1", "video.fps": self.fps, "has_audio": False},
        }
        extra = {
            name: {"dtype": str(make(0, np.arange(1)).dtype), **scalar}
            for name, make in self.extra.items()
        }
        counters = ("frame_index", "episode_index", "index", "task_index")
        return {
            self.state: vector(self.state),
            self.action: vector(self.action),
            **dict.fromkeys((self.camera, *self.others), video),
            **extra,
            "timestamp": {"dtype": "float32", **scalar},
            **{name: {"dtype": "int64", **scalar} for name in counters},
        }

    def write(self):
        (self.folder / "meta").mkdir(parents=True)
        (self._write_v3 if self.version == "v3.0" else self._write_v21)()
        return self.folder

    def _info(self, **paths):
        content = {
            "codebase_version": self.version,
            "robot_type": "Unitree_G1",
            "total_episodes": len(self.lengths),
            "total_frames": sum(self.lengths),
            "total_tasks": len(self.tasks),
            "chunks_size": 1000,
            "fps": self.fps,
            "splits": {"train": f"0:{len(self.lengths)}"},
            "features": self.features(),
            **paths,
            **self.info,
        }
        (self.folder / "meta" / "info.json").write_text(json.dumps(content))

    def _write_v21(self):
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._info(
            data_path="data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
            video_path="videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        )
        meta = self.folder / "meta"
        tasks = [{"task_index": n, "task": text} for n, text in enumerate(self.tasks)]
        self._lines(meta / "tasks.jsonl", tasks)
        told = [
            {"episode_index": n, "tasks": [self.tasks[n % len(self.tasks)]], "length": length}
            for n, length in enumerate(self.lengths)
        ]
        self._lines(meta / "episodes.jsonl", told)
        for episode in range(len(self.lengths)):
            data = self.data(episode)
            data.parent.mkdir(parents=True, exist_ok=True)
            pictures = self.pictures(episode)
            table = self.table(self.columns(episode))
            if self.stored == "image":
                png = [{"bytes": as_png(p), "path": f"{k}.png"} for k, p in enumerate(pictures)]
                pq.write_table(table.append_column(self.camera, pa.array(png)), data)
                continue
            pq.write_table(table, data)
            for camera in (self.camera, *self.others):
                video = self.video(episode, camera)
                write_video(video, pictures, fps=self.fps, encoder=self.encoder)

    def data(self, episode):
        return self.folder / "data" / "chunk-000" / f"episode_{episode:06d}.parquet"

    def video(self, episode, camera=None):
        chunk = self.folder / self.videos / "chunk-000"
        return chunk / (camera or self.camera) / f"episode_{episode:06d}.mp4"

    @staticmethod
    def _lines(path, objects):
        path.write_text("".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects))

    def _write_v3(self):
        import pyarrow as pa

        file = "chunk-{chunk_index:03d}/file-{file_index:03d}"
        self._info(data_path=f"data/{file}.parquet", video_path=f"videos/{{video_key}}/{file}.mp4")
        count = len(self.lengths)
        table = pa.concat_tables([self.table(self.columns(e)) for e in range(count)])
        self._parquet(table, "data/chunk-000/file-000.parquet")
        pictures = [p for e in range(count) for p in self.pictures(e)]
        for camera in (self.camera, *self.others):
            video = self.folder / self.videos / camera / "chunk-000" / "file-000.mp4"
            write_video(video, pictures, fps=self.fps, encoder=self.encoder)
        # As pandas 3 writes an index of texts.
        words = pa.array(self.tasks, pa.large_string())
        tasks = pa.table({"task_index": range(len(self.tasks)), "__index_level_0__": words})
        self._parquet(tasks, "meta/tasks.parquet")
        rows, begin = [], 0
        for episode, length in enumerate(self.lengths):
            places = {
                "chunk_index": 0,
                "file_index": 0,
                "from_timestamp": begin / self.fps,
                "to_timestamp": (begin + length) / self.fps,
            }
            cameras = (self.camera, *self.others)
            rows.append(
                {
                    "episode_index": episode,
                    "tasks": [self.tasks[episode % len(self.tasks)]],
                    "length": length,
                    "data/chunk_index": 0,
                    "data/file_index": 0,
                    "dataset_from_index": begin,
                    "dataset_to_index": begin + length,
                    **{f"videos/{c}/{key}": at for c in cameras for key, at in places.items()},
                }
            )
            begin += length
        self._parquet(pa.Table.from_pylist(rows), "meta/episodes/chunk-000/file-000.parquet")

    def _parquet(self, table, name):
        import pyarrow.parquet as pq

        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)


@pytest.fixture
def elsewhere(tmp_path):
    """Make a LeRobot data set as others write it."""
    return lambda name="set", **settings: Elsewhere(tmp_path / name, **settings)
