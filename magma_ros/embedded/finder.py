# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds ``rclpy``, ``tf2_ros`` and the message packages when no installed ROS 2 supplies them."""

from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType

HERE = str(Path(__file__).parent)

LIBRARIES = frozenset({"rclpy", "tf2_ros"})
"""Packages in this folder that go by the names ROS 2 gives them."""

MESSAGE_PACKAGES = frozenset(
    {
        "builtin_interfaces",
        "diagnostic_msgs",
        "geometry_msgs",
        "lifecycle_msgs",
        "nav_msgs",
        "rcl_interfaces",
        "rosgraph_msgs",
        "sensor_msgs",
        "std_msgs",
        "std_srvs",
        "tf2_msgs",
        "trajectory_msgs",
        "visualization_msgs",
    }
)


class EmbeddedFinder(MetaPathFinder):
    """Supplies :data:`LIBRARIES` from this folder and generates the message packages."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a library, ``<package>``, ``<package>.msg`` or ``<package>.srv``."""
        if fullname in LIBRARIES:
            return PathFinder.find_spec(fullname, [HERE])
        package, _, kind = fullname.partition(".")
        if package in MESSAGE_PACKAGES and kind in {"", "msg", "srv"}:
            return spec_from_loader(fullname, MessageLoader(), is_package=not kind)
        return None


class MessageLoader(Loader):
    """Makes modules whose message and service classes are generated when first asked for."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave the making of the module object to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Give ``<package>.msg`` and ``<package>.srv`` their classes."""
        package, _, kind = module.__name__.partition(".")
        if not kind:
            return
        # Imported late: the type store is not cheap, and most processes have a real ROS 2.
        from magma_ros.embedded.wire import messages

        make: Callable[[str], type] = (
            messages.message_class if kind == "msg" else messages.service_class
        )
        names = messages.names_in(package, kind)

        def __getattr__(name: str) -> type:  # noqa: N807 - the module's own hook
            if name not in names:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            made = make(f"{package}/{kind}/{name}")
            setattr(module, name, made)
            return made

        vars(module).update(__getattr__=__getattr__, __all__=names, __dir__=lambda: names)
