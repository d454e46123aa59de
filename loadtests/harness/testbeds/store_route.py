"""The one address that is signed and must not change: where the store's public name leads from here.

A presigned URL carries its host and port in the signature. On the host that name leads to the published
port; inside the network of the containers it would lead to ourselves. So requests keep the name and only
the connection goes elsewhere, in k6 by its option ``hosts`` and in our own client by a resolver.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult


class UnknownStore(Exception):
    """The store's name inside the network leads nowhere."""


@dataclass(frozen=True, slots=True)
class StoreRoute:
    """``public`` is what URLs are signed for, ``inner`` where its connections go; both ``host:port``."""

    public: str
    inner: str

    @property
    def elsewhere(self) -> bool:
        return self.public != self.inner

    def resolver(self) -> AbstractResolver | None:
        """For our own client; nothing where the public name leads there anyway."""
        return RoutedResolver(self) if self.elsewhere else None

    async def k6_hosts(self) -> dict[str, str]:
        """k6's ``hosts``: it wants an address, so the name is looked up before k6 starts."""
        if not self.elsewhere:
            return {}
        host, port = split(self.inner)
        return {self.public: f"{await address_of(host, port)}:{port}"}


class RoutedResolver(AbstractResolver):
    """Answers for the store's public host and port with the inner address, else as usual."""

    def __init__(self, route: StoreRoute) -> None:
        self._public, self._inner = split(route.public), split(route.inner)
        self._usual = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if (host, port) != self._public:
            return await self._usual.resolve(host, port, family)
        found = await self._usual.resolve(*self._inner, family)
        return [{**one, "hostname": host} for one in found]

    async def close(self) -> None:
        await self._usual.close()


async def address_of(host: str, port: int) -> str:
    """The IPv4 address of a name. Raises ``UnknownStore``."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, family=socket.AF_INET)
    except OSError as error:
        raise UnknownStore(f"the store {host}:{port} has no address here: {error}") from error
    return str(found[0][4][0])


def split(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def netloc(settings: Mapping[str, str]) -> str:
    """What presigned URLs are signed for, without the scheme."""
    url = settings.get("S3_PUBLIC_ENDPOINT") or f"http://localhost:{settings['S3_PORT']}"
    return url.split("//")[-1].rstrip("/")
