# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures image transport between two processes.

A second process sends images at a fixed rate, each stamped just before it is published and
carrying a checksum. This process receives them and compares.
"""

import multiprocessing
import time
import zlib
from dataclasses import dataclass

import numpy as np

from magma_ros.embedded import install

TOPIC = "benchmark/image"
DISCOVERY_TIMEOUT = 30.0
SILENCE_TIMEOUT = 3.0


@dataclass(frozen=True)
class TransportReport:
    """What arrived.

    Attributes:
        sent: Number of images sent.
        received: Number of images received.
        damaged: Number of images received whose checksum is wrong.
        median: Median time from before publishing to inside the callback [s].
        p99: 99th percentile of that time [s].
    """

    sent: int
    received: int
    damaged: int
    median: float
    p99: float


def measure_image_transport(
    height: int, width: int, *, frames: int = 300, rate: float = 30.0, reliable: bool = False
) -> TransportReport:
    """Send RGB images from another process to this one.

    Args:
        height: Rows of each image.
        width: Columns of each image.
        frames: Number of images.
        rate: Images per second [1/s].
        reliable: Whether lost images are sent again.

    Raises:
        RuntimeError: No image arrived.
    """
    install()
    import rclpy
    from rclpy.node import Node
    from sensor_msgs.msg import Image

    latencies: list[float] = []
    damaged = 0

    def receive(image: Image) -> None:
        nonlocal damaged
        stamp = image.header.stamp
        latencies.append(time.time() - stamp.sec - stamp.nanosec * 1e-9)
        damaged += str(zlib.crc32(image.data)) != image.header.frame_id

    rclpy.init(args=[])
    node = Node("image_sink")
    node.create_subscription(Image, TOPIC, receive, _qos(frames, reliable=reliable))
    source = multiprocessing.get_context("spawn").Process(
        target=_send, args=(height, width, frames, rate, reliable), daemon=True
    )
    source.start()
    patience = time.monotonic() + DISCOVERY_TIMEOUT
    while (arrived := len(latencies)) < frames and time.monotonic() < patience:
        rclpy.spin_once(node, timeout_sec=0.1)
        if len(latencies) > arrived:
            patience = time.monotonic() + SILENCE_TIMEOUT
    source.terminate()
    source.join()
    node.destroy_node()
    rclpy.shutdown()
    if not latencies:
        raise RuntimeError("no image arrived from the other process")
    median, p99 = np.percentile(latencies, (50, 99))
    return TransportReport(frames, len(latencies), damaged, float(median), float(p99))


def _send(height: int, width: int, frames: int, rate: float, reliable: bool) -> None:  # noqa: FBT001
    install()
    import rclpy
    from rclpy.node import Node
    from sensor_msgs.msg import Image

    rclpy.init(args=[])
    node = Node("image_source")
    publisher = node.create_publisher(Image, TOPIC, _qos(frames, reliable=reliable))
    while not publisher.get_subscription_count() and rclpy.ok():
        time.sleep(0.01)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    next_time = time.monotonic()
    for frame in range(frames):
        pixels[0, 0] = frame % 256
        data = pixels.tobytes()
        image = Image(height=height, width=width, encoding="rgb8", step=width * 3)
        image.header.frame_id = str(zlib.crc32(data))
        image.header.stamp = node.get_clock().now().to_msg()
        image.data = data
        publisher.publish(image)
        next_time += 1.0 / rate
        time.sleep(max(0.0, next_time - time.monotonic()))
    time.sleep(1.0)  # for what must be sent again
    node.destroy_node()
    rclpy.try_shutdown()  # the other process may have stopped this one already


def _qos(frames: int, *, reliable: bool) -> object:
    """Sensor data's profile, or one under which nothing may be lost."""
    from rclpy.qos import QoSProfile, qos_profile_sensor_data

    return QoSProfile(depth=frames) if reliable else qos_profile_sensor_data
