# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the processes of a launch running, and ends them all when it is time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import stat
from collections.abc import Callable, Sequence

from magma_ros.embedded import early
from magma_ros.embedded.launch.child import LIFELINE
from magma_ros.embedded.launch.output import Log, console
from magma_ros.embedded.launch.plan import Process

UNUSABLE = os.EX_CONFIG
"""Exit status of a process that cannot work with what it was given, and never will."""

_CLEAN_EXITS = {0, -signal.SIGINT, 128 + signal.SIGINT}
"""Exit codes after a shutdown that are no fault: finished, or ended by the SIGINT we sent."""

_LAST_WORDS = 0.3
"""How long to read on from the pipes of a process that has ended [s]; its children hold them."""

_LOG_PREFIX = re.compile(r"\[[A-Z]+\] \[[\d.]+\] \[[^\]]*\]: ")
"""What rclpy's loggers write before a message: level, time, logger."""


class Supervisor:
    """Runs processes until they have all ended, or one that is required has.

    Each process leads a session of its own, so a Ctrl-C reaches it only once, as the SIGINT sent
    from here; and nothing it has started outlives it. It holds one end of a pipe whose other end
    is held here: if this process is killed, its processes notice and end by themselves.

    A process is respawned only after a crash. One that ends well has done its work, and one that
    exits with :data:`UNUSABLE` would do so again: it ends the launch.
    """

    def __init__(self, processes: Sequence[Process], log: Log) -> None:
        self._processes = processes
        self._log = log
        self._shutdown = asyncio.Event()
        self._lifeline, self._held = os.pipe()
        self._said: dict[str, str] = {}  # the last line each process wrote to standard error
        self._verdict = ""
        self._unusable = False

    async def run(self) -> int:
        """Run to the end.

        Returns:
            0 if every process ended well, 2 if one could not work with what it was given, else 1.
        """
        loop = asyncio.get_running_loop()
        signals = [s for s in early.ENDING_SIGNALS if not early.is_hangup_ignored(s)]
        for number in signals:
            loop.add_signal_handler(number, self._on_signal, number)
        piped = _piped_console()
        if piped is not None:
            # The writing end of a pipe shows as readable when nobody reads it any more.
            loop.add_reader(piped, self._shutdown.set)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._keep(process)) for process in self._processes]
        finally:
            if piped is not None:
                loop.remove_reader(piped)
            for number in signals:
                loop.remove_signal_handler(number)
            os.close(self._lifeline)
            os.close(self._held)
        if self._verdict:
            self._log.error("launch", self._verdict)
        if self._unusable:
            return 2
        return 0 if all(task.result() for task in tasks) else 1

    def _on_signal(self, number: signal.Signals) -> None:
        self._shutdown.set()
        self._log.info("launch", f"{number.name} received, shutting down")

    async def _keep(self, process: Process) -> bool:
        """Run a process, again as often as it is to be respawned; True if it ended well."""
        retries = 0
        while True:
            try:
                code = await self._run_once(process)
            except OSError as error:
                self._end_launch(f"{process.name} cannot be started: {error.strerror}")
                return False
            if self._shutdown.is_set():
                return code in _CLEAN_EXITS
            if code == UNUSABLE:
                self._unusable = True
                self._end_launch(self._last_sentence(process, code))
            elif process.required:
                self._log.info("launch", f"process[{process.name}] was required: shutting down")
                self._end_launch("" if code == 0 else self._last_sentence(process, code))
            if code in {0, UNUSABLE} or not process.respawn:
                return code == 0
            if retries == process.respawn_max_retries:
                self._log.error(process.name, f"process is given up after {retries} respawns")
                return False
            retries += 1
            if await self._shutdown_within(process.respawn_delay):
                return False

    def _end_launch(self, verdict: str) -> None:
        """Shut everything down; the first verdict is repeated at the very end."""
        if not self._shutdown.is_set():
            self._verdict = verdict
        self._shutdown.set()

    def _last_sentence(self, process: Process, code: int) -> str:
        said = self._said.get(process.name) or f"it ended with exit code {code}"
        return f"{process.name}: {said}"

    async def _shutdown_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._shutdown.wait(), seconds)
        return self._shutdown.is_set()

    async def _run_once(self, process: Process) -> int:
        child = await asyncio.create_subprocess_exec(
            *process.command,
            env={**process.environment, LIFELINE: str(self._lifeline)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(self._lifeline,),
            start_new_session=True,
        )
        self._log.info(process.name, f"process started with pid [{child.pid}]")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(child, process))
                code = await self._wait(child, process)
        finally:
            _kill_session(child.pid)
        if code == 0:
            self._log.info(process.name, f"process has finished cleanly [pid {child.pid}]")
        else:
            self._log.error(process.name, f"process has died [pid {child.pid}, exit code {code}]")
        return code

    async def _wait(self, child: asyncio.subprocess.Process, process: Process) -> int:
        """Wait until the process has ended, by itself or because of a shutdown."""
        exited = asyncio.ensure_future(child.wait())
        shutdown = asyncio.ensure_future(self._shutdown.wait())
        try:
            await asyncio.wait({exited, shutdown}, return_when=asyncio.FIRST_COMPLETED)
            if not exited.done():
                await self._end(child, process, exited)
            return await exited
        finally:
            shutdown.cancel()

    async def _end(
        self,
        child: asyncio.subprocess.Process,
        process: Process,
        exited: asyncio.Future[int],
    ) -> None:
        """Ask a process to end, ever more firmly."""
        steps = (
            (signal.SIGINT, process.sigterm_timeout),
            (signal.SIGTERM, process.sigkill_timeout),
        )
        for number, patience in steps:
            self._log.info(process.name, f"sending signal '{number.name}' to process")
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)
            done, _ = await asyncio.wait({exited}, timeout=patience)
            if done:
                return
            self._log.error(
                process.name,
                f"process failed to terminate '{patience}' seconds after receiving '{number.name}'",
            )
        self._log.info(process.name, "sending signal 'SIGKILL' to process")
        with contextlib.suppress(ProcessLookupError):
            child.kill()

    async def _pass_on(self, child: asyncio.subprocess.Process, process: Process) -> None:
        """Pass on what a process writes, until it has ended."""
        assert child.stdout is not None
        assert child.stderr is not None

        def said(line: str) -> None:
            self._log.line(process.name, line, on_screen=process.on_screen)

        def complained(line: str) -> None:
            self._log.line(process.name, line, on_screen=True)
            self._said[process.name] = _LOG_PREFIX.sub("", line, count=1).strip()

        readers = {
            asyncio.ensure_future(_read_lines(child.stdout, said)),
            asyncio.ensure_future(_read_lines(child.stderr, complained)),
        }
        await child.wait()
        _, late = await asyncio.wait(readers, timeout=_LAST_WORDS)
        for reader in late:
            reader.cancel()


async def _read_lines(stream: asyncio.StreamReader, handle: Callable[[str], None]) -> None:
    """Split into lines here: a StreamReader gives up on a line longer than its limit."""
    rest = b""
    while chunk := await stream.read(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            handle(line.decode(errors="replace"))
    if rest:
        handle(rest.decode(errors="replace"))


def _piped_console() -> int | None:
    """The console, if it is a pipe to another program, as behind ``| tee``."""
    descriptor = console()
    if descriptor is not None and stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return descriptor
    return None


def _kill_session(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
