# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A managed node that counts while active; its parameters make the callbacks misbehave."""

import rclpy
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from std_msgs.msg import Int32


class Counter(LifecycleNode):
    def __init__(self):
        super().__init__("counter")
        self.declare_parameter("on_configure", "success")
        self.declare_parameter("on_activate", "success")
        self.declare_parameter("on_error", "success")
        self.publisher = self.create_lifecycle_publisher(Int32, "count", 10)
        self.count = 0
        self.create_timer(0.02, self.publish)

    def publish(self):
        self.count += 1
        if self.count == 3:
            print("counted to three", flush=True)
        self.publisher.publish(Int32(data=self.count))

    def behave(self, callback, state):
        print(callback, state.label, flush=True)
        wish = self.get_parameter(callback).value
        if wish == "raise":
            raise RuntimeError(f"{callback} was told to raise")
        return None if wish == "forget" else TransitionCallbackReturn[wish.upper()]

    def on_configure(self, state):
        return self.behave("on_configure", state)

    def on_activate(self, state):
        super().on_activate(state)
        return self.behave("on_activate", state)

    def on_error(self, state):
        return self.behave("on_error", state)


rclpy.init()
node = Counter()
print("ready", flush=True)
rclpy.spin(node)
