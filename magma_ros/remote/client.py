# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The line to a policy server that speaks openpi's protocol, on a thread of its own.

Everything that takes time happens on that thread: pictures are encoded, frames sent and received,
answers checked, a line that was cut is opened again. Whoever asks is never kept waiting.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from functools import partial
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from magma_ros.gate.far import FarPlan
from magma_ros.remote import wire
from magma_ros.remote.address import Address
from magma_ros.remote.error import RemoteError
from magma_ros.remote.forecast import Told
from magma_ros.remote.ledger import Ledger, LineRules, LineState, Question
from magma_ros.remote.messages import Terms
from magma_ros.remote.plans import plan_from
from magma_ros.remote.questions import Questions
from magma_ros.remote.remote_file import FarContract
from magma_ros.remote.welcome import Welcome, read_welcome
from magma_ros.types import Clock, MagmaError, MonotonicClock, Observation

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 3.0
"""Time before a line is opened again, the first time and at most [s]; it doubles in between."""

OPENING = 5.0
"""Time in which a line must have been opened [s]; a server may be loading its policy."""

CLOSING = 0.2
"""Time for which the other end is given to say farewell [s]."""


class FarClient:
    """A line to one server; see :class:`~magma_ros.gate.far.FarLine`.

    Args:
        address: The server.
        contract: What its policy takes and gives.
        rules: When a question is worth asking.
        quality: Gives the JPEG quality of the next question's pictures, 1 to 100.
        log: Called on the line's thread with the state and a sentence whenever that changes.
        clock: Whose deadlines count.
    """

    def __init__(
        self,
        address: Address,
        contract: FarContract,
        rules: LineRules,
        *,
        quality: Callable[[], int] = lambda: 90,
        log: Callable[[LineState, str], object] = lambda *_: None,
        clock: Clock | None = None,
    ) -> None:
        """Begin to open the line."""
        self._address, self._contract, self._rules = address, contract, rules
        self._quality, self._log = quality, log
        self._clock = clock or MonotonicClock()
        self._ledger = Ledger(rules)
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._asked: asyncio.Queue[Question] = asyncio.Queue()
        self._adopt(Welcome(contract))
        self._size = 0
        self._told = LineState.CONNECTING
        self._thread = threading.Thread(target=self._serve, name="far line", daemon=True)
        self._thread.start()

    # For those who ask

    @property
    def newest(self) -> FarPlan | None:
        """The newest plan that came, or None."""
        return self._ledger.newest

    @property
    def state(self) -> LineState:
        """How the line is."""
        return self._ledger.state

    def ledger(self) -> Ledger:
        """A copy of the line's state, to read."""
        with self._changed:
            seen = copy(self._ledger)
            seen.trips, seen.counts = seen.trips.copy(), copy(seen.counts)
            return seen

    def ask(self, observation: Observation, now: float, deadline: float) -> None:
        """Ask about ``observation`` if that is worth it; returns at once."""
        with self._changed:
            question = self._ledger.ask(observation, now, deadline)
        if question is not None:
            self._call(self._asked.put_nowait, question)

    def hope(self, stamp: float) -> float:
        """Until when an answer about ``stamp`` may be hoped for [s]."""
        with self._changed:
            return self._ledger.hope(stamp)

    def wait(self, stamp: float, until: float) -> None:
        """Return once that answer has come, or cannot come any more, at ``until`` at latest."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ledger.hope(stamp) < self._clock.now(),
                timeout=max(0.0, until - self._clock.now()),
            )

    def forget(self) -> None:
        """Drop all answers, and those still to come."""
        with self._changed:
            self._ledger.forget()

    def close(self, patience: float = 1.0) -> bool:
        """Close the line; whether its thread has ended within ``patience`` [s]."""
        self._call(self._loop.stop)
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _call(self, act: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(act, *arguments)

    # The line's own thread

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(self._keep_open())
        try:
            self._loop.run_forever()
            task.cancel()
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)
        finally:
            self._loop.close()

    async def _keep_open(self) -> None:
        """Open the line, again and again."""
        pause = FIRST_PAUSE
        while True:
            answered = self._ledger.counts.answered
            silent = False
            try:
                await self._open()
            except _SilentError as error:
                silent, why = True, str(error)
            except (RemoteError, wire.WireError) as error:
                self._note(partial(Ledger.refused, why=str(error), now=0.0, size=0))
                why = str(error)
            except Exception as error:  # noqa: BLE001 - without this thread the line stays cut
                why = self._sentence(error)
            self._note(partial(Ledger.lost, why=why, silent=silent))
            pause = FIRST_PAUSE if self._ledger.counts.answered > answered else pause
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - not for secrets
            pause = min(2.0 * pause, LONGEST_PAUSE)

    async def _open(self) -> None:
        """Open the line once and keep it until it is cut."""
        address = self._address
        opening = connect(
            address.uri,
            additional_headers=address.headers,
            ssl=address.tls,
            compression=None,
            max_size=wire.MAX_FRAME,
            open_timeout=OPENING,
            close_timeout=CLOSING,
            ping_interval=None,  # a server may be thinking: silence is judged by its answers
            proxy=None,
        )
        connection = await opening
        try:
            metadata = await asyncio.wait_for(connection.recv(), OPENING)
            self._adopt(read_welcome(_message(metadata), self._contract))
            while not self._asked.empty():  # asked of a line that is no more
                self._asked.get_nowait()
            self._note(Ledger.opened)
            await self._converse(connection)
        finally:
            with suppress(Exception):
                await asyncio.wait_for(connection.close(), CLOSING)

    def _adopt(self, welcome: Welcome) -> None:
        """Ask as the server wants to be asked, and read its answers as those of its policy."""
        self._questions, self._expected = Questions(welcome), welcome.contract.expected

    async def _converse(self, connection: ClientConnection) -> None:
        """Send questions and take answers, until the line is cut or silent."""
        asked = asyncio.ensure_future(self._asked.get())
        heard = asyncio.ensure_future(connection.recv())
        try:
            while True:
                done, _ = await asyncio.wait(
                    {asked, heard}, timeout=self._left(), return_when=asyncio.FIRST_COMPLETED
                )
                if heard in done:
                    self._take(heard.result())
                    heard = asyncio.ensure_future(connection.recv())
                if asked in done:
                    await self._send(connection, asked.result())
                    asked = asyncio.ensure_future(self._asked.get())
                if self._ledger.silent(self._clock.now()):
                    raise self._silence()
        finally:
            for task in (asked, heard):
                if not task.cancel() and not task.cancelled():
                    task.exception()  # it has been raised, or something else has before it

    async def _send(self, connection: ClientConnection, question: Question) -> None:
        terms = Terms(
            id=question.number,
            stamp=question.observation.stamp,
            time_left=question.grant.time_left,
            useful=question.grant.useful,
        )
        try:
            content = self._questions(question.observation, self._quality(), terms)
        except MagmaError as error:  # this one observation cannot be sent
            self._note(partial(Ledger.unsent, why=str(error)))
            return
        frame = wire.pack(content)
        self._size = len(frame)
        try:
            await asyncio.wait_for(connection.send(frame), max(0.01, self._left() or 0.0))
        except TimeoutError:
            raise self._silence() from None

    def _take(self, frame: str | bytes) -> None:
        """Take in what the server sent."""
        now, asked, size = self._clock.now(), self._ledger.pending, self._size
        if asked is None:
            raise RemoteError("the server sent something that it was not asked for")
        try:
            answer = _message(frame)
            plan = plan_from(answer, asked.observation, self._expected)
        except _BusyError as error:
            self._note(partial(Ledger.declined, why=str(error)))
            return
        except MagmaError as error:
            self._note(partial(Ledger.refused, why=str(error), now=now, size=size))
            return
        self._note(lambda ledger: ledger.answered(plan, now, size, Told.by(answer)))

    def _left(self) -> float | None:
        """Time until the question on its way counts as lost [s], or None without one."""
        asked = self._ledger.pending
        if asked is None:
            return None
        return max(0.0, asked.asked + self._rules.patience - self._clock.now()) + 1e-3

    def _silence(self) -> _SilentError:
        return _SilentError(
            f"{self._address.uri} has not answered for {self._rules.patience:g} s; the line is "
            "opened anew"
        )

    def _note(self, change: Callable[[Ledger], object]) -> None:
        with self._changed:
            change(self._ledger)
            state, sentence = self._ledger.state, self._ledger.sentence
            self._changed.notify_all()
        if state is not self._told:
            self._told = state
            self._log(state, sentence)

    def _sentence(self, error: Exception) -> str:
        """Why the line is cut, without anything that must not be shown."""
        uri = self._address.uri
        if isinstance(error, InvalidStatus):
            status = error.response.status_code
            remedy = "; check remote.token_file" if status in (401, 403) else ""
            return f"{uri} refuses the line (HTTP {status}){remedy}"
        if isinstance(error, TimeoutError):
            return f"{uri} has not opened the line within {OPENING:g} s"
        if isinstance(error, OSError):
            return f"{uri} cannot be reached ({error.strerror or type(error).__name__})"
        if isinstance(error, WebSocketException | MagmaError):
            return f"{uri}: {' '.join(str(error).split())[:200]}"
        return f"{uri}: {type(error).__name__}"


class _SilentError(Exception):
    """The server has not answered for too long."""


class _BusyError(RemoteError):
    """The server has no time for a question."""


def _message(frame: str | bytes) -> dict[str, Any]:
    """What a frame says.

    Raises:
        _BusyError: The server has no time.
        MagmaError: It is another complaint, or no message.
    """
    if isinstance(frame, str):  # by openpi's protocol a sentence or a traceback
        lines = [line.strip() for line in frame[-4000:].splitlines() if line.strip()]
        raise RemoteError(f"the policy elsewhere failed: {(lines or ['nothing'])[-1][:200]}")
    message = wire.unpack(frame)
    if error := message.get("error"):
        sentence = " ".join(str(error).split())[:200]
        if message.get("busy") is True:
            raise _BusyError(sentence)
        raise RemoteError(f"the policy elsewhere failed: {sentence}")
    return message
