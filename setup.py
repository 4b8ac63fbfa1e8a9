# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Installs magma_ros under colcon (ament_python) and under pip alike."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "magma_ros"
SHARED = ("launch", "config", "sim", "models")

CORE = [
    "cyclopts>=4",
    "numpy>=1.26",
    "onnxruntime>=1.23",
    "opencv-python-headless>=4.9",
    "pydantic>=2.7",
    "PyYAML>=6",
    "rich>=13.7",
    "ruckig>=0.19",
    "scipy>=1.11",
    "simplejpeg>=1.7.6",
    "tokenizers>=0.21",
]
EXTRAS = {
    "console": ["nicegui>=3", "textual>=6", "websockets>=15"],
    "embedded": ["cyclonedds>=11", "mcap>=1.6", "rosbags>=0.11"],
    "kinematics": ["pin>=3"],
    "lerobot": ["av>=12", "mcap>=1.6", "pyarrow>=16", "rosbags>=0.11"],
    "perception": ["open3d>=0.19"],
    # Deployments over several computers; one process needs only "remote".
    "serve": ["ray[serve]>=2.55", "msgpack>=1.0.5", "websockets>=15"],
    "remote": ["msgpack>=1.0.5", "websockets>=15"],
    "record": ["mcap>=1.6", "rosbags>=0.11"],
    "data": ["pyarrow>=16"],
    # In place of onnxruntime, which is to be uninstalled: see docs/gpu.md.
    "gpu": ["onnxruntime-gpu[cuda,cudnn]>=1.23"],
    "sim": ["pybullet>=3.2.7", "gymnasium>=1.0", "matplotlib>=3.8"],
    # Its version decides its scenes and experts. gymnasium's MuJoCo part forgets packaging.
    "metaworld": ["metaworld==3.1.1", "mujoco==3.3.0", "packaging", "matplotlib>=3.8"],
    "create": ["onnx>=1.18"],
    "train": [
        "torch>=2.9",
        "transformers>=5",
        "safetensors>=0.5",
        "onnx>=1.18",
        "onnxscript>=0.5",
        "pyarrow>=16",
        "matplotlib>=3.8",
    ],
    "test": ["pytest>=7.4"],  # by which colcon knows that pytest runs the tests
    "dev": [
        "hypothesis",
        "import-linter",
        "mypy",
        "playwright",
        "pytest",
        "pytest-benchmark",
        "pytest-timeout",
        "pytest-xdist",
        "ruff",
        "setuptools",
        "scipy-stubs",
        "types-PyYAML",
    ],
}


def shared_files() -> list[tuple[str, list[str]]]:
    """Everything ROS looks for below ``share/magma_ros``, folder by folder."""
    files = [
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ]
    for root in SHARED:
        folders = [Path(root), *(p for p in Path(root).rglob("*") if p.is_dir())]
        for folder in sorted(folders):
            found = sorted(str(p) for p in folder.iterdir() if p.is_file())
            if found:
                files.append((f"share/{PACKAGE}/{folder.as_posix()}", found))
    return files


setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed", "console/static/*"]},
    data_files=shared_files(),
    install_requires=CORE,
    extras_require=EXTRAS,
    python_requires=">=3.11",
    zip_safe=False,
    author="The magma_ros authors",
    maintainer="The magma_ros authors",
    maintainer_email="maintainers@magma-ros.example",
    description="Vision-language-action policies on ROS 2 that are never late.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "magma = magma_ros.cli:main",
            "policy_node = magma_ros.nodes.entry:policy_node",
            "guard_node = magma_ros.nodes.entry:guard_node",
            "sim_node = magma_ros.nodes.entry:sim_node",
            "recorder_node = magma_ros.nodes.entry:recorder_node",
            "report_node = magma_ros.nodes.entry:report_node",
            "gripper_adapter_node = magma_ros.nodes.entry:gripper_adapter_node",
            "console_node = magma_ros.nodes.entry:console_node",
            "perception_node = magma_ros.nodes.entry:perception_node",
            "latency_probe_node = magma_ros.nodes.entry:latency_probe_node",
        ],
    },
)
