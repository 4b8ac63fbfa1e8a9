# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that can stall or cut its connections, as a bad network does; for trials."""

from __future__ import annotations

import contextlib
import socket
import threading


class StallingProxy:
    """Passes bytes on between whoever connects to it and a server on loopback.

    Args:
        port: Of the server.

    Attributes:
        port: To connect to.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def stall(self) -> None:
        """Pass nothing on any more; the connections stay open."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass on again, beginning with what has waited."""
        self._flows.set()

    def close(self) -> None:
        """Cut all connections."""
        self._server.close()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._flows.set()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._server.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:  # nobody serves there yet
                    near.close()
                    continue
                self._sockets += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._flows.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
