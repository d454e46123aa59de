"""Several processes of one service in one container.

``python -m services.kit.workers services.upload`` starts that module once for each port in ``PORTS``, with
the admin port at the same place in ``ADMIN_PORTS``; ``INSTANCE`` is the name of the first (``upload-1``).
Equal ports are shared (``REUSE_PORT``). With one port it becomes the module itself.

A stop signal goes to all of them. One that ends by itself is started again; one that ends so within its
first seconds cannot run here, so all end with its code and whatever runs the container decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping

PROVEN_S = 5.0
DRAIN_S = "1"  # so long one that stops still serves, so that whoever balances notices


def environments(environ: Mapping[str, str]) -> list[dict[str, str]]:
    """What each process gets, in the order of the ports."""
    ports, admin_ports = environ["PORTS"].split(","), environ["ADMIN_PORTS"].split(",")
    rest = {name: value for name, value in environ.items() if name not in ("PORTS", "ADMIN_PORTS")}
    if len(ports) > 1:
        rest.setdefault("DRAIN_S", DRAIN_S)
    if len(set(ports)) < len(ports):
        rest["REUSE_PORT"] = "1"
    name, _, first = environ["INSTANCE"].rpartition("-")
    return [
        {**rest, "PORT": port, "ADMIN_PORT": admin, "INSTANCE": f"{name}-{number}"}
        for number, (port, admin) in enumerate(zip(ports, admin_ports, strict=True), start=int(first))
    ]


async def run(command: list[str], workers: list[dict[str, str]]) -> int:
    """Keep one process running in each environment until a stop signal; 0, or why one could not run."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    codes = await asyncio.gather(*(_keep(command, worker, stop) for worker in workers))
    return max(codes)


async def _keep(command: list[str], worker: dict[str, str], stop: asyncio.Event) -> int:
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        began = loop.time()
        process = await asyncio.create_subprocess_exec(*command, env=worker)
        ended, stopping = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
        await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            process.terminate()
        code = abs(await ended)
        if stop.is_set():
            break
        if loop.time() - began < PROVEN_S:
            stop.set()
            return code or 1
        with contextlib.suppress(OSError):  # a full disk under the log ends no process
            print(f"{worker['INSTANCE']} ended with {code}; starting it again", file=sys.stderr, flush=True)
    return 0


def main() -> None:
    """Process edge."""
    command = [sys.executable, "-m", sys.argv[1]]
    workers = environments(os.environ)
    if len(workers) == 1:
        os.execve(command[0], command, workers[0])  # noqa: S606 - becomes it, so signals arrive
    sys.exit(asyncio.run(run(command, workers)))


if __name__ == "__main__":
    main()
