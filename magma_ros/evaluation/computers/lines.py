# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network between robots and a server, made as slow, lossy and cut as asked.

Where this process may make network namespaces and the kernel can emulate networks (Linux's netem),
the programs run in a namespace of their own whose loopback delays and drops real packets. Elsewhere
a proxy in between delays bytes, and stalls them as TCP does when packets are lost; see
:mod:`magma_ros.evaluation.computers.line_proxy`. Both are a :class:`Line`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from magma_ros.types import MagmaError

ETHERNET = 1500
"""Largest packet [bytes]; loopback's own are 64 KiB, and losing one of those loses a picture."""

UNCUT = (3.0, 9.0)
"""Shortest and longest time from the end of a cut to the next one [s]."""


class LineError(MagmaError):
    """A line cannot be made."""


@dataclass(frozen=True, slots=True)
class LineSpec:
    """What a network does to what it carries; the same both ways.

    Attributes:
        delay: Mean time of a round trip [s].
        jitter: Largest deviation of a round trip from that [s].
        loss: Share of packets that are lost.
        cut: Time for which nothing passes, at moments drawn by ``seed`` [s]; 0 for never.
        seed: Of those moments, and of what a proxy draws.

    Raises:
        LineError: A number is out of range.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    cut: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.jitter <= self.delay < 60.0:
            raise LineError(
                "a line's delay must be less than a minute and its jitter at most the delay, not "
                f"{self.delay:g} s and {self.jitter:g} s"
            )
        if not 0.0 <= self.loss < 1.0:
            raise LineError(f"the loss of a line must be a share below 1, not {self.loss:g}")
        if not 0.0 <= self.cut < 60.0:
            raise LineError(f"a cut must last from 0 to 60 s, not {self.cut:g}")

    @property
    def ideal(self) -> bool:
        """Whether it does nothing to what it carries."""
        return not (self.delay or self.loss or self.cut)

    def cuts(self, seconds: float) -> tuple[float, ...]:
        """When the line is cut in so many seconds [s]; the same for the same seed."""
        rng = np.random.default_rng((self.seed, 1))
        found = []
        when = float(rng.uniform(*UNCUT))
        while self.cut and when + self.cut < seconds:
            found.append(when)
            when += self.cut + float(rng.uniform(*UNCUT))
        return tuple(found)

    def __str__(self) -> str:
        """In words."""
        if self.ideal:
            return "ideal"
        parts = [f"{1e3 * self.delay:g} ± {1e3 * self.jitter:g} ms"]
        parts += [f"{100 * self.loss:g} % loss"] if self.loss else []
        parts += [f"cuts of {self.cut:g} s"] if self.cut else []
        return ", ".join(parts)


class Line(Protocol):
    """A network on this machine; programs that start with its prefix are at either end."""

    @property
    def kind(self) -> str:
        """How it is made: ``netem``, ``proxy`` or ``loopback``."""
        ...

    @property
    def prefix(self) -> tuple[str, ...]:
        """Words before the command of every program that uses it."""
        ...

    def reach(self, port: int) -> int:
        """The port of 127.0.0.1 through which a client reaches the server at ``port``."""
        ...

    def cut(self) -> None:
        """Let nothing pass; connections stay open."""
        ...

    def mend(self) -> None:
        """Let everything pass again, beginning with what is sent anew."""
        ...


class Loopback:
    """No network at all."""

    kind = "loopback"
    prefix: tuple[str, ...] = ()

    def reach(self, port: int) -> int:
        """The same port."""
        return port

    def cut(self) -> None:
        """Nothing is there to be cut."""

    def mend(self) -> None:
        """Nothing is there to be mended."""


class Namespace:
    """A network namespace of its own, in which netem holds up what loopback carries.

    A round trip passes loopback twice, so each passage takes half of the delay and of the jitter.

    Args:
        spec: What the line does.
        name: Of the namespace.

    Raises:
        LineError: It cannot be made here; nothing is left.
    """

    kind = "netem"

    def __init__(self, spec: LineSpec, name: str) -> None:
        self._spec = spec
        self._name = name
        self._made = False
        if missing := [tool for tool in ("ip", "tc") if shutil.which(tool) is None]:
            raise LineError(f"{' and '.join(missing)} not found; run apt-get install iproute2")
        try:
            _run("ip", "netns", "add", name)
            self._made = True
            mtu = ("mtu", str(ETHERNET), "gso_max_segs", "1")
            self._inside("ip", "link", "set", "dev", "lo", "up", *mtu)
            self._emulate("add", spec.loss)
        except LineError:
            self.close()
            raise

    @property
    def prefix(self) -> tuple[str, ...]:
        """Runs a command inside."""
        return ("ip", "netns", "exec", self._name)

    def reach(self, port: int) -> int:
        """The same port, inside."""
        return port

    def cut(self) -> None:
        """Lose every packet."""
        self._emulate("change", 1.0)

    def mend(self) -> None:
        """Lose no more than before."""
        self._emulate("change", self._spec.loss)

    def close(self) -> None:
        """Remove the namespace; a second call does nothing."""
        if self._made:
            self._made = False
            _run("ip", "netns", "del", self._name)

    def _emulate(self, verb: str, loss: float) -> None:
        times = [f"{5e5 * seconds:.0f}us" for seconds in (self._spec.delay, self._spec.jitter)]
        delay = ("delay", *times) if self._spec.delay else ()
        lose = ("loss", f"{100 * loss:g}%")
        self._inside("tc", "qdisc", verb, "dev", "lo", "root", "netem", *delay, *lose)

    def _inside(self, *command: str) -> None:
        _run(*self.prefix, *command)


def _run(*command: str) -> None:
    """Run a command that changes the network.

    Raises:
        LineError: It fails.
    """
    done = subprocess.run(  # noqa: S603 - nothing of the command is foreign
        command, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
    words = " ".join(command)
    if "netem" in command and ("unknown" in said or "not found" in said.lower()):
        raise LineError(f"this kernel cannot emulate networks (no sch_netem); {words}: {said}")
    if "permitted" in said or "denied" in said:
        raise LineError(f"network namespaces need root here; {words}: {said}")
    raise LineError(f"{words} failed: {said}")


@contextmanager
def line(
    spec: LineSpec, *, kind: str = "auto", tell: Callable[[str], object] = print
) -> Iterator[Line]:
    """Such a network, which is gone when the context is left.

    Args:
        spec: What it does.
        kind: ``netem``, ``proxy``, or ``auto`` for netem where it is possible here.
        tell: Told in one sentence why a proxy stands in for netem.

    Raises:
        LineError: netem is asked for and not possible here; the sentence says why.
    """
    from magma_ros.evaluation.computers.line_proxy import ProxyLine

    if spec.ideal:
        yield Loopback()
        return
    made: Namespace | ProxyLine | None = None
    if kind != "proxy":
        try:
            made = Namespace(spec, f"magma-line-{os.getpid()}")
        except LineError as error:
            if kind == "netem":
                raise
            tell(f"{error}; a proxy stands in for the network")
    made = made or ProxyLine(spec)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def cutting(line: Line, spec: LineSpec, seconds: float) -> Iterator[None]:
    """Cut the line while the context lasts, as its seed says; whole at the end.

    Args:
        line: The line.
        spec: When, and for how long.
        seconds: How long the context lasts at most [s].
    """
    over = threading.Event()
    began = time.monotonic()

    def play() -> None:
        for when in spec.cuts(seconds):
            if over.wait(max(0.0, began + when - time.monotonic())):
                return
            line.cut()
            over.wait(spec.cut)
            line.mend()

    player = threading.Thread(target=play, daemon=True)
    player.start()
    try:
        yield
    finally:
        over.set()
        player.join()
        with suppress(LineError):
            line.mend()
