# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma serve``: one policy for many robots, over openpi's WebSocket protocol."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from magma_ros.cli.common import Bundle, console
from magma_ros.doctor import require
from magma_ros.files import read_text

if TYPE_CHECKING:
    from magma_ros.serving.config import ServingConfig
    from magma_ros.serving.engine import Engine
    from magma_ros.serving.replicas import Replicas


def serve(
    bundle: Bundle = "magma-nano",
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: Path | None = None,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
    certificate: Path | None = None,
    key: Path | None = None,
    gate: str = "adaptive",
    depth: int | None = None,
    time_limit: float = 0.1,
    clients: int = 128,
    rate: float = 100.0,
    max_frame: int = 16 << 20,
    threads: int = 0,
    providers: Annotated[tuple[str, ...], Parameter(negative="")] = ("CPUExecutionProvider",),
    replicas: str = "",
    ray: str = "local",
) -> int:
    """Serve a policy to robots elsewhere, and to everything that speaks openpi's protocol.

    Args:
        bundle: The policy.
        host: Address to listen on; all but loopback addresses need a token.
        port: Port to listen on, 0 for any that is free.
        token_file: File with the token that clients must know, 16 characters or more.
        open_: Everybody may ask, also from the network.
        certificate: PEM file of the certificate, for TLS.
        key: PEM file of its private key, if it is not in the certificate's file.
        gate: Judges how deep to think: adaptive, or fixed with --depth.
        depth: Exit of the fixed gate.
        time_limit: Time in which requests are answered that state none [s].
        clients: Most connections at a time.
        rate: Most requests a second of one client; 0 for no limit.
        max_frame: Largest message that is read [bytes].
        threads: Threads a stage may use; 0 takes all cores but one, which packs and sends.
        providers: ONNX Runtime execution providers, best first.
        replicas: Processes on a Ray cluster that share the work: a number, or auto for as many as
            the load demands. Without, this process does it.
        ray: That cluster: host:port of its head, auto for that of this computer, local to start
            one.
    """
    require("remote")
    from magma_ros.policy.runtime import StagedPolicy
    from magma_ros.serving.config import ServingConfig
    from magma_ros.serving.engine import Engine
    from magma_ros.serving.policy import ServedBundle
    from magma_ros.share import find_bundle

    config = ServingConfig(
        host=host,
        port=port,
        token="" if token_file is None else read_text(token_file).strip(),
        open=open_,
        certificate="" if certificate is None else str(certificate),
        key="" if key is None else str(key),
        clients=clients,
        rate=rate,
        frame=max_frame,
        time_limit=time_limit,
    )
    config.check()
    folder = find_bundle(bundle)
    options = {} if depth is None else {"depth": depth}
    if replicas:
        from magma_ros.serving.replicas import EngineRecipe, start_replicas, stop_replicas

        require("serve")
        recipe = EngineRecipe(
            str(folder.absolute()), gate, options, threads, tuple(providers), time_limit
        )
        front = start_replicas(recipe, replicas, ray)
        try:
            return asyncio.run(_serve(front, config))
        finally:
            stop_replicas()
    policy = StagedPolicy.load(folder, providers=providers, threads=threads)
    engine = Engine(ServedBundle(folder, policy, gate, **options), time_limit=time_limit)
    engine.start()
    try:
        return asyncio.run(_serve(engine, config))
    finally:
        engine.close()


async def _serve(engine: Engine | Replicas, config: ServingConfig) -> int:
    """Serve until the process is told to end; returns the exit status of that."""
    from magma_ros.serving.server import PolicyServer

    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, _end, ended, number)
    server = PolicyServer(engine, config)
    await server.start()
    scheme = "wss" if config.certificate else "ws"
    name = engine.policy.metadata.policy
    console.print(f"Serving {name} at {scheme}://{config.host}:{server.port}", soft_wrap=True)
    try:
        return 128 + await ended
    finally:
        await asyncio.to_thread(engine.close)
        await server.stop()


def _end(ended: asyncio.Future[int], number: int) -> None:
    if not ended.done():
        ended.set_result(number)
