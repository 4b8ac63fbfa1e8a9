# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the processes of a launch running, and ends them all when it is time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from magma_ros.embedded.launch.output import Log
from magma_ros.embedded.launch.plan import Process

_CLEAN_EXITS = {0, -signal.SIGINT, 128 + signal.SIGINT}
"""Exit codes after a shutdown that are no fault: finished, or ended by the SIGINT we sent."""

_LAST_WORDS = 1.0
"""How long to read on from the pipes of a process that has ended [s]; its children hold them."""


class Supervisor:
    """Runs processes until they have all ended, or one that is required has.

    Each process leads a session of its own, so a Ctrl-C reaches it only once, as the SIGINT sent
    from here; and nothing it has started outlives it.
    """

    def __init__(self, processes: Sequence[Process], log: Log) -> None:
        self._processes = processes
        self._log = log
        self._shutdown = asyncio.Event()

    async def run(self) -> int:
        """Run to the end; the exit code is 0 if every process ended well, else 1."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._keep(process)) for process in self._processes]
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        return 0 if all(task.result() for task in tasks) else 1

    def _on_signal(self, number: signal.Signals) -> None:
        self._log.info("launch", f"{number.name} received, shutting down")
        self._shutdown.set()

    async def _keep(self, process: Process) -> bool:
        """Run a process, again as often as it is to be respawned; True if it ended well."""
        retries = 0
        while True:
            code = await self._run_once(process)
            ended_by_us = self._shutdown.is_set()
            if process.required and not ended_by_us:
                self._log.info("launch", f"process[{process.name}] was required: shutting down")
                self._shutdown.set()
            if not process.respawn or retries == process.respawn_max_retries:
                break
            retries += 1
            if await self._shutdown_within(process.respawn_delay):
                break
        return code in _CLEAN_EXITS if ended_by_us else code == 0

    async def _shutdown_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._shutdown.wait(), seconds)
        return self._shutdown.is_set()

    async def _run_once(self, process: Process) -> int:
        child = await asyncio.create_subprocess_exec(
            *process.command,
            env=process.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
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
        readers = {
            asyncio.ensure_future(self._lines(child.stdout, process, on_screen=process.on_screen)),
            asyncio.ensure_future(self._lines(child.stderr, process, on_screen=True)),
        }
        await child.wait()
        _, late = await asyncio.wait(readers, timeout=_LAST_WORDS)
        for reader in late:
            reader.cancel()

    async def _lines(
        self, stream: asyncio.StreamReader, process: Process, *, on_screen: bool
    ) -> None:
        """Split into lines here: a StreamReader gives up on a line longer than its limit."""
        rest = b""
        while chunk := await stream.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._log.line(process.name, line.decode(errors="replace"), on_screen=on_screen)
        if rest:
            self._log.line(process.name, rest.decode(errors="replace"), on_screen=on_screen)


def _kill_session(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
