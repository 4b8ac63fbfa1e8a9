# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policies as others export them: ONNX files with names, types and shapes of their own."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

JOINTS = tuple(f"joint_{n}" for n in range(1, 7))


def save(path: Path, nodes, weights, inputs, outputs) -> Path:
    """Write a graph; inputs and outputs are (name, ONNX type, sizes)."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(kind, given, made, **more) for kind, given, made, more in nodes],
        "theirs",
        [info(*each) for each in inputs],
        [info(*each) for each in outputs],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def mlp(path: Path, steps: int = 4, goal=(0.3,) * 6) -> Path:
    """Two layers from joint positions to a plan that leads the joints nearly to a goal [rad]."""
    joints = len(goal)
    rng = np.random.default_rng(3)
    weights = {
        "w1": rng.normal(0.0, 0.3, (joints, 16)).astype(np.float32),
        "b1": np.zeros(16, np.float32),
        "w2": rng.normal(0.0, 0.01, (16, steps * joints)).astype(np.float32),
        "b2": np.tile(np.array(goal, np.float32), steps),
        "sizes": np.array([-1, steps, joints], np.int64),
    }
    nodes = [
        ("Gemm", ["obs", "w1", "b1"], ["h"], {}),
        ("Relu", ["h"], ["r"], {}),
        ("Gemm", ["r", "w2", "b2"], ["flat"], {}),
        ("Reshape", ["flat", "sizes"], ["action"], {}),
    ]
    given = [("obs", TensorProto.FLOAT, ["batch", joints])]
    return save(
        path, nodes, weights, given, [("action", TensorProto.FLOAT, ["batch", steps, joints])]
    )


def seer(path: Path) -> Path:
    """The mean of each colour of a (1, 3, 8, 10) image, two states, and how many tokens count."""
    weights = {"two": np.array([0.0, 0.0], np.float32), "axis": np.array([1], np.int64)}
    nodes = [
        ("ReduceMean", ["observation.images.top"], ["seen"], {"axes": [2, 3], "keepdims": 0}),
        ("Cast", ["mask"], ["counted"], {"to": TensorProto.FLOAT}),
        ("ReduceSum", ["counted", "axis"], ["count"], {"keepdims": 1}),
        ("Concat", ["seen", "arm", "hand", "count", "noise"], ["actions"], {"axis": 1}),
        ("Identity", ["ids"], ["echo"], {}),
    ]
    given = [
        ("observation.images.top", TensorProto.FLOAT, [1, 3, 8, 10]),
        ("arm", TensorProto.FLOAT, [1, 2]),
        ("hand", TensorProto.DOUBLE, [1, 1]),
        ("ids", TensorProto.INT32, [1, 5]),
        ("mask", TensorProto.BOOL, [1, 5]),
        ("noise", TensorProto.FLOAT, [1, 2]),
    ]
    nodes.insert(0, ("Cast", ["hand"], ["hand_f"], {"to": TensorProto.FLOAT}))
    nodes[4] = ("Concat", ["seen", "arm", "hand_f", "count", "noise"], ["actions"], {"axis": 1})
    made = [("actions", TensorProto.FLOAT, [1, 9]), ("echo", TensorProto.INT32, [1, 5])]
    return save(path, nodes, weights, given, made)
