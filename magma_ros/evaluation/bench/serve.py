# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many robots before one server: ``magma serve`` beside plain servers of fixed depth, in one run.

Every server is a process of its own, and so are the robots; all share this machine's cores, so what
the robots themselves cost is measured as well. The servers take turns on the same questions.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from magma_ros.environment import environment
from magma_ros.evaluation.bench import serve_plain, serve_robots
from magma_ros.evaluation.bench.serve_robots import Asked, Plan
from magma_ros.evaluation.bench.serve_scenes import record
from magma_ros.evaluation.bench.wall import Machine, this_machine
from magma_ros.evaluation.computers.lines import Line, LineSpec, cutting, line
from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.figures.summary import Summary
from magma_ros.evaluation.play.evaluate import evaluate
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.play.workers import THREADS
from magma_ros.files import whole
from magma_ros.machine import free_port
from magma_ros.policy.manifest import MANIFEST, Manifest, read_manifest, sha256_of

MAGMA = "magma serve"
"""The server with a gate."""

SHALLOW = 3
"""Exit of the shallow one among the plain servers."""

CLAIMED = 16
"""Robots with whom success is measured, beside the largest number of them."""

SUITES = ("tabletop", "moving")
"""What the recorded observations are of, and so where success is measured."""


@dataclass(frozen=True, slots=True)
class Server:
    """A way to serve.

    Attributes:
        label: What it is called in the tables.
        depth: Exit of a plain server, 0 for the deepest; None for ``magma serve``.
    """

    label: str
    depth: int | None = None

    def command(self, bundle: Path, port: int) -> list[str]:
        """How it is started."""
        if self.depth is None:
            words = ["magma_ros.cli", "serve", "--bundle", str(bundle), "--port", str(port)]
        else:
            words = [serve_plain.MODULE, str(bundle), str(self.depth), str(port)]
        return [sys.executable, "-m", *words]


def servers(exits: int) -> tuple[Server, ...]:
    """The gate's, the plain one at full depth, and one at a shallow exit where there is one."""
    plain = [Server("plain, full depth", 0)]
    plain += [Server(f"plain, exit {SHALLOW}", SHALLOW)] if exits > SHALLOW else []
    return Server(MAGMA), *plain


@dataclass(frozen=True, slots=True)
class ServeSpec:
    """What to measure.

    Attributes:
        robots: Numbers of robots, each in turn.
        spike: From how many robots to how many and back; those of the spike stay for ``seconds``.
        seconds: Duration of each measurement; a spike takes three times as long [s].
        rate: Observations of a robot a second [Hz].
        deadline: Time from an observation to its plan [s].
        seed: Of phases, scenes, bursts, and cuts.
        line: The bad line.
        line_kind: How it is made: auto, netem or proxy.
        line_robots: Robots behind it.
        scenes: Tasks whose first moments are shown.
        episodes: Episodes a task at the depths observed; 0 for none.
    """

    robots: tuple[int, ...] = (1, 4, 16, 64)
    spike: tuple[int, int] = (16, 64)
    seconds: float = 20.0
    rate: float = 10.0
    deadline: float = 0.1
    seed: int = 0
    line: LineSpec = field(default_factory=LineSpec)
    line_kind: str = "auto"
    line_robots: int = 16
    scenes: int = 10
    episodes: int = 20

    def __post_init__(self) -> None:
        if min(*self.robots, *self.spike, self.line_robots) < 1:
            raise EvaluationError("there must be at least 1 robot in each measurement")
        if self.spike[1] < self.spike[0]:
            raise EvaluationError("a spike goes from fewer robots to more, not the other way")
        if not (self.seconds >= 1.0 and 0.0 < self.rate <= 200.0 and self.deadline > 0.0):
            raise EvaluationError("a measurement needs at least 1 s, up to 200 Hz and a deadline")

    def conditions(self) -> tuple[Condition, ...]:
        """Everything that each server goes through."""
        seconds = self.seconds
        steady = [Condition(f"{n} robots", ((0.0, seconds),) * n) for n in self.robots]
        few, many = self.spike
        spans = ((0.0, 3 * seconds),) * few + ((seconds, 2 * seconds),) * (many - few)
        found = [*steady, Condition(f"spike {few} to {many}", spans, spike=(seconds, 2 * seconds))]
        if not self.line.ideal:
            behind = ((0.0, 2 * seconds),) * self.line_robots
            found.append(Condition(f"{self.line_robots} robots, line", behind, line=self.line))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Condition:
    """Who asks, and over which network.

    Attributes:
        name: In the tables.
        spans: Of each robot, when it begins and ends [s].
        line: The network.
        spike: When more robots come and when they go again [s], or None.
    """

    name: str
    spans: tuple[tuple[float, float], ...]
    line: LineSpec = field(default_factory=LineSpec)
    spike: tuple[float, float] | None = None

    @property
    def seconds(self) -> float:
        """Until the last robot has ended [s]."""
        return max(end for _, end in self.spans)


@dataclass(frozen=True, slots=True)
class Measured:
    """A server under a condition.

    Attributes:
        condition: Who asked.
        server: Who answered.
        asked: What became of it.
        line: How the network was made.
    """

    condition: Condition
    server: Server
    asked: Asked
    line: str


@dataclass(slots=True)
class ServeBench:
    """What came out.

    Attributes:
        spec: What was asked for.
        manifest: The policy's contract.
        checksum: SHA-256 of the manifest.
        machine: Where it ran.
        measured: Every server under every condition.
        success: By server's label, episodes played at the depths of its answers.
        remarks: What a reader must know besides.
    """

    spec: ServeSpec
    manifest: Manifest
    checksum: str
    machine: Machine
    measured: list[Measured] = field(default_factory=list)
    success: dict[str, Summary] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def run_serve_bench(
    spec: ServeSpec,
    bundle: Path,
    out: Path,
    *,
    contenders: Sequence[Server] | None = None,
    console: Console | None = None,
) -> ServeBench:
    """Let every server go through every condition.

    Args:
        spec: What to measure.
        bundle: Folder of the policy.
        out: Folder for the recording and for what the processes say.
        contenders: The servers; those of :func:`servers` by default.
        console: Where to draw a progress bar, or None for none.

    Raises:
        MagmaError: A process does not start or ends, the policy is not of the recorded scenes, or
            the network cannot be made.
    """
    manifest = read_manifest(bundle)
    bench = ServeBench(spec, manifest, sha256_of(bundle / MANIFEST), this_machine())
    recording = record(bundle, out, 1.0 / spec.rate, spec.scenes)
    contenders = contenders or servers(manifest.exits)
    total = sum(each.seconds for each in spec.conditions()) * len(contenders)
    # Drawn between measurements only: a thread that draws would take time from them.
    with Progress(console=console, auto_refresh=False, disable=console is None) as progress:
        bar = progress.add_task("serving", total=total)
        for condition in spec.conditions():
            with line(condition.line, kind=spec.line_kind, tell=_once(bench.remarks)) as network:
                for server in contenders:
                    bench.measured.append(
                        _measure(
                            spec,
                            condition,
                            server,
                            network,
                            bundle=bundle,
                            recording=recording,
                            out=out,
                        )
                    )
                    progress.update(bar, advance=condition.seconds, refresh=True)
    if spec.episodes:
        bench.success = _successes(bench, bundle, console)
    return bench


def _once(remarks: list[str]) -> Callable[[str], object]:
    def tell(sentence: str) -> None:
        if sentence not in remarks:
            remarks.append(sentence)

    return tell


def _measure(
    spec: ServeSpec,
    condition: Condition,
    server: Server,
    network: Line,
    *,
    bundle: Path,
    recording: Path,
    out: Path,
) -> Measured:
    port = free_port()
    stem = f"{server.label}-{condition.name}".replace(" ", "-").replace(",", "")
    with _running(server, bundle, port, network.prefix, out / f"{stem}.log") as process:
        plan = Plan(
            port=network.reach(port),
            recording=recording.absolute(),
            spans=condition.spans,
            period=1.0 / spec.rate,
            deadline=spec.deadline,
            seed=spec.seed,
            server=process.pid,
        )
        with whole(out / "robots.json") as draft:
            draft.write_text(plan.model_dump_json(), encoding="utf-8")
        with cutting(network, condition.line, condition.seconds):
            asked = _robots(network.prefix, out)
        if process.poll() is not None:
            raise EvaluationError(f"{server.label} ended amid the measurement; see {stem}.log")
    return Measured(condition, server, asked, network.kind)


@contextmanager
def _running(
    server: Server, bundle: Path, port: int, prefix: tuple[str, ...], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The server as a process of its own, which ends with the context."""
    command = [*prefix, *server.command(bundle.absolute(), port)]
    with log.open("w") as said, environment(**dict.fromkeys(THREADS, "1")):
        process = subprocess.Popen(  # noqa: S603 - nothing of the command is foreign
            command, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _robots(prefix: tuple[str, ...], out: Path) -> Asked:
    """Let the robots of ``robots.json`` play, in a process of their own.

    Raises:
        EvaluationError: They do not get through.
    """
    asked = out / "asked.npz"
    words = [sys.executable, "-m", serve_robots.MODULE, str(out / "robots.json"), str(asked)]
    done = subprocess.run(  # noqa: S603 - nothing of the command is foreign
        [*prefix, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise EvaluationError(f"the simulated robots gave up: {said}")
    found = Asked.read(asked)
    asked.unlink()
    return found


def _successes(bench: ServeBench, bundle: Path, console: Console | None) -> dict[str, Summary]:
    """Play episodes with exits drawn as often as each server gave them."""
    most = max(bench.spec.robots, default=0)
    counts = {min(CLAIMED, most), most}
    asked = [f"{count} robots" for count in counts]
    found: dict[str, Summary] = {}
    played: dict[tuple[float, ...], Summary] = {}  # a plain server's exits are always the same
    for each in bench.measured:
        shares = depth_shares(each.asked, bench.manifest.exits)
        if each.condition.name not in asked or not sum(shares):
            continue
        label = f"{each.server.label}, {each.condition.name}"
        if shares not in played:
            spec = EvaluationSpec(
                suites=SUITES,
                episodes=bench.spec.episodes,
                gate="drawn",
                gate_options=(("shares", shares),),
                workers=os.cpu_count() or 1,
            )
            played[shares] = evaluate(spec, bundle, console=console).summary()
        found[label] = played[shares]
    return found


def depth_shares(asked: Asked, exits: int) -> tuple[float, ...]:
    """How often each exit was the answer, as shares that add up to 1; all 0 without answers."""
    answered = asked.depths[asked.depths > 0]
    return tuple(
        float((answered == depth).mean()) if answered.size else 0.0 for depth in range(1, exits + 1)
    )
