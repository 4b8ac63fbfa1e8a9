# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""For all tests: ROS 2's names, a DDS domain each, and fixtures that several rooms need.

On a robot, where extras are missing, tests that need one are skipped and name it.
"""

import itertools
import os
import random
import re
import resource
import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from magma_ros import embedded
from magma_ros.doctor import CORE, EXTRAS, outdated
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Confidence, ExitReading, MagmaError

REAL_ROS = find_spec("rclpy") is not None
embedded.install()

BRINGS = {"core": CORE, **{name: extra.modules for name, extra in EXTRAS.items()}}
BRINGS["sim"] += ("PIL",)  # matplotlib brings it
BRINGS["console"] += ("fastapi", "httpx", "starlette", "uvicorn")  # nicegui brings them
BRINGS["dev"] = (
    "hypothesis",
    "importlinter",
    "mypy",
    "openpi_client",
    "playwright",
    "pytest_benchmark",
    "ruff",
    "setuptools",
)
"""The modules that each extra brings; those of ``core`` have none. ``make test`` installs
openpi-client without what it depends on: it asks for NumPy 1 and works with 2."""

OUTDATED = outdated()

EXTRA_OF = {module: extra for extra, modules in BRINGS.items() for module in modules}

ALONE = (
    Path("graph"),
    Path("browser"),
    Path("evaluation/test_bench_wall.py"),
)
"""What judges real time or takes every core, and so has the machine to itself; see .ci/suite."""

FIRST = ("test_style.py", "test_installation.py")
"""Files with the longest tests: one worker runs them while others run the rest."""

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

# Shuffled, so that test runs side by side on one machine hardly ever meet; workers of one never do,
# nor anybody the demos, which take a free domain from 100 downwards.
_OURS = [*range(20, 90), *range(101, 230)][WORKER::WORKERS]
DOMAINS = itertools.cycle(random.SystemRandom().sample(_OURS, len(_OURS)))


def _load_profiles() -> None:
    """Choose how Hypothesis finds its examples; test/support/properties.py counts them.

    ``repeatable`` tries the same on every machine and every run, so that a change is judged by what
    it changes. ``explore`` tries others each time, and many more of them.
    """
    from hypothesis import HealthCheck, settings

    common = settings(
        deadline=None,  # a slow machine is no fault of the code
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        print_blob=True,
    )
    settings.register_profile("repeatable", common, derandomize=True)
    settings.register_profile(
        "explore", common, derandomize=False, max_examples=20 * common.max_examples
    )
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


if find_spec("hypothesis") is not None:
    _load_profiles()


def _lacks(module: str) -> str:
    extra = EXTRA_OF[module]
    return f"needs {module}: pip install '.{'' if extra == 'core' else f'[{extra}]'}'"


def _left_out() -> dict[str, str]:
    """Folders whose conftest.py cannot be imported here, and the module that it lacks."""
    found = {}
    for file in Path(__file__).parent.glob("*/conftest.py"):
        imported = set(re.findall(r"^(?:from|import) (\w+)", file.read_text(), re.MULTILINE))
        if "rclpy" in imported and not REAL_ROS:
            imported.add("cyclonedds")
        imported.update(CORE)  # what nearly every module of ours comes to
        lacking = [m for m in sorted(imported & EXTRA_OF.keys()) if find_spec(m) is None]
        if lacking:
            found[file.parent.name] = lacking[0]
    return found


LEFT_OUT = _left_out()
collect_ignore = list(LEFT_OUT)


def _missing_extra(error: BaseException | None) -> str | None:
    """The sentence for a skip, if ``error`` came from a module of an extra that is not there."""
    while error is not None:
        name = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, ImportError) and name in EXTRA_OF and find_spec(name) is None:
            return _lacks(name)
        if isinstance(error, ImportError) and name in OUTDATED:
            return f"{name} {OUTDATED[name]} is too old: pip install '.'"
        error = error.__cause__ or error.__context__
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what continuous integration asks for: no skips, and one part of the tests at a time."""
    parser.addoption(
        "--no-skips", action="store_true", help="a skipped test is a failure, but for want of a GPU"
    )
    parser.addoption(
        "--part",
        choices=("together", "alone"),
        help="only the tests that may run side by side, or only those that may not",
    )


def in_part(path: Path, part: str) -> bool:
    """Whether a file or folder below ``test`` belongs to a part, or holds what does."""
    if part == "together":
        return path not in ALONE
    return any(path == of or of in path.parents or path in of.parents for of in ALONE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what is not of the part that was asked for, before it is imported."""
    here = Path(__file__).parent
    part = config.option.part
    if part is None or here not in collection_path.parents:
        return None
    return None if in_part(collection_path.relative_to(here), part) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: item.path.name not in FIRST)


def pytest_configure(config: pytest.Config) -> None:
    """Run benchmarks once and untimed, unless timings are asked for."""
    if config.pluginmanager.hasplugin("benchmark"):
        timed = config.option.benchmark_only or config.option.benchmark_enable
        config.option.benchmark_disable = not timed


def pytest_report_header() -> list[str]:
    """Name the folders that are left out as a whole."""
    return [f"left out: test/{folder} {_lacks(module)}" for folder, module in LEFT_OUT.items()]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail after a skip if skips are not allowed."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None:  # a worker: what it skipped is told to the process that started it
        return
    skipped = [str(report.longrepr) for report in terminal.stats.get("skipped", [])]
    if session.config.option.no_skips and any("GPU" not in reason for reason in skipped):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def needs():
    """Skip a test that starts what needs these extras, for example in another process."""

    def check(*extras: str) -> None:
        for module in itertools.chain.from_iterable(BRINGS[extra] for extra in extras):
            if find_spec(module) is None:
                pytest.skip(_lacks(module))

    return check


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """Skip a file that cannot be imported because an extra is missing."""
    report = yield
    call = getattr(report, "call", None)
    reason = _missing_extra(call.excinfo.value) if call and call.excinfo else None
    if report.failed and reason:
        report.outcome, report.longrepr = "skipped", (report.nodeid, 0, f"Skipped: {reason}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """Skip a test that fails because an extra is missing."""
    report = yield
    reason = _missing_extra(call.excinfo.value) if call.excinfo else None
    if report.failed and reason:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1], f"Skipped: {reason}")
    return report


if find_spec("pytest_benchmark") is None:

    @pytest.fixture
    def benchmark():
        pytest.skip(_lacks("pytest_benchmark"))


@pytest.fixture(autouse=True)
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A ROS domain that no other test uses at the same time."""
    number = next(DOMAINS)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    return number


@pytest.fixture
def simulate():
    """Make simulations that are closed after the test."""
    from magma_ros.sim.simulation import Simulation  # only these tests need PyBullet

    made = []

    def make(task="pick", **kwargs):
        made.append(Simulation(task, **{"seed": 0, **kwargs}))
        return made[-1]

    yield make
    for simulation in made:
        simulation.close()


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory):
    """A small real bundle: random weights, five stages, three exits, four steps a chunk."""
    builder = Path(__file__).parent / "policy" / "conftest.py"
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    folder.mkdir()
    runpy.run_path(str(builder))["build_bundle"](folder)
    return folder


@dataclass
class SteppedClock:
    """Time moves only when a stage runs."""

    time: float = 100.0

    def now(self) -> float:
        return self.time

    def sleep_until(self, when: float) -> None:
        self.time = max(self.time, when)


@dataclass(frozen=True)
class Stage:
    name: str
    exit: bool
    flops: int = 1000
    weight_bytes: int = 100


@dataclass
class ScriptedInference:
    """Stages with given durations and disagreements; records what was started when."""

    clock: SteppedClock
    stages: tuple[Stage, ...]
    durations: dict[str, float]
    disagreements: tuple[float, ...]
    broken: str | None = None
    started: list[tuple[float, str]] = field(default_factory=list)

    @property
    def exits(self) -> int:
        return sum(stage.exit for stage in self.stages)

    @property
    def upcoming(self) -> tuple[Stage, ...]:
        rest = self.stages[len(self.started) :]
        for count, stage in enumerate(rest, start=1):
            if stage.exit:
                return rest[:count]
        return ()

    def advance(self) -> ExitReading | None:
        stage = self.stages[len(self.started)]
        self.started.append((self.clock.now(), stage.name))
        if stage.name == self.broken:
            raise MagmaError("the stage broke")
        self.clock.time += self.durations[stage.name]
        if not stage.exit:
            return None
        depth = sum(s.exit for s in self.stages[: len(self.started)])
        return ExitReading(
            chunk=ActionChunk(0.0, 0.1, np.full((4, 7), float(depth)), depth, MAGMA),
            confidence=Confidence(self.disagreements[depth - 1], 0.5, 0.5),
            depth=depth,
            flops=1000 * len(self.started),
            weight_bytes=100 * len(self.started),
        )


STAGES = (
    Stage("look", exit=False),
    Stage("think_1", exit=True),
    Stage("think_2", exit=True),
    Stage("detail", exit=False),
    Stage("think_3", exit=True),
)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture(scope="session")
def stages() -> tuple[Stage, ...]:
    return STAGES


@pytest.fixture
def scripted(clock):
    """Make an inference whose exits never agree and whose stages each take 10 ms."""
    return scripted_on(clock)


@pytest.fixture(scope="session")
def make_scripted():
    """A fresh clock and :func:`scripted` on it, as often as a property test needs them."""

    def make():
        clock = SteppedClock()
        return scripted_on(clock), clock

    return make


def scripted_on(clock):
    def make(*, durations=None, disagreements=None, broken=None) -> ScriptedInference:
        times = dict.fromkeys((stage.name for stage in STAGES), 0.010) | (durations or {})
        agree = disagreements or (float("inf"), 0.5, 0.5)
        return ScriptedInference(clock, STAGES, times, agree, broken)

    return make


@pytest.fixture(scope="session")
def stand_in():
    """What console/robot_stand_in.py holds: a robot without ROS, and what it shows."""
    path = Path(__file__).parent / "console" / "robot_stand_in.py"
    return SimpleNamespace(**runpy.run_path(str(path)))


@pytest.fixture
def full_disk():
    """A context in which no file may grow beyond a size: the kernel takes a part, then nothing."""

    @contextmanager
    def within(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return within
