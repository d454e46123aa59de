"""aiohttp's client without its session: connection pool, request writer and parser only.

What a session adds to each request (cookies, redirects, proxies, automatic headers, authentication, a
second try of its own) is not wanted between processes of ours, and costs more than the request itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import (
    ClientError,
    ClientRequest,
    ClientResponse,
    ClientTimeout,
    ConnectionTimeoutError,
    TCPConnector,
)
from aiohttp.client_exceptions import ClientConnectorError
from aiohttp.helpers import TimerNoop
from aiohttp.payload import Payload
from multidict import CIMultiDict
from yarl import URL

from services.kit.http.client import (
    CONNECT_S,
    Call,
    UpstreamBroken,
    UpstreamUnreachable,
)

READ_BUFFER_BYTES = 65_536
_TIMEOUT = ClientTimeout(total=None, sock_connect=CONNECT_S)
_NO_TIMER = TimerNoop()
_NOTHING_AUTOMATIC: CIMultiDict[None] = CIMultiDict({"Content-Type": None})


class _Request(ClientRequest):
    """A request whose headers are complete, ``Host`` included: nothing is added, merged or guessed."""

    proxy = proxy_auth = proxy_headers = None

    def update_host(self, url: URL) -> None: ...

    def update_headers(self, headers: Any) -> None:
        self.headers = headers

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        self._skip_auto_headers = _NOTHING_AUTOMATIC

    def update_cookies(self, cookies: Any) -> None: ...

    def update_content_encoding(self, data: Any) -> None: ...

    def update_auth(self, auth: Any, trust_env: bool = False) -> None: ...

    def update_proxy(self, proxy: Any, proxy_auth: Any, proxy_headers: Any) -> None: ...

    def update_expect_continue(self, expect: bool = False) -> None: ...


class Connector(TCPConnector):
    """A pool that counts the connections it opens."""

    def __init__(self, opened: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self._opened = opened

    async def _create_connection(self, req: ClientRequest, traces: Any, timeout: ClientTimeout) -> Any:  # noqa: ASYNC109
        protocol = await super()._create_connection(req, traces, timeout)
        self._opened()
        return protocol


async def send(
    connector: Connector, base: str, call: Call, data: bytes | Payload | None, *, refusals_end: bool
) -> ClientResponse:
    """Send one request; the head of its answer.

    Raises:
        UpstreamUnreachable, UpstreamBroken: by whether anything can have been sent.
    """
    request = _request(base, call, data)
    try:
        connection = await connector.connect(request, [], _TIMEOUT)
    except (ClientConnectorError, ConnectionTimeoutError, TimeoutError) as error:
        raise UpstreamUnreachable(type(error).__name__) from error
    except (ClientError, OSError) as error:
        raise UpstreamBroken(type(error).__name__) from error
    protocol = connection.protocol
    try:
        response = await _exchange(request, connection)
    except (ClientError, OSError) as error:
        connection.close()
        raise UpstreamBroken(type(error).__name__) from error
    except BaseException:
        connection.close()
        raise
    if refusals_end and data is not None and response.status >= 400 and protocol is not None:
        protocol.force_close()  # at its release, and at once if that was before
        if connection.protocol is None:
            protocol.close()
    return response


def _request(base: str, call: Call, data: bytes | Payload | None) -> _Request:
    url = URL(base + call.target, encoded=True)
    headers = CIMultiDict(call.headers)
    headers["Host"] = url.host_port_subcomponent or ""
    loop = asyncio.get_running_loop()
    request = _Request(call.method, url, headers=headers, data=data, loop=loop, timer=_NO_TIMER)
    if isinstance(data, Payload):
        headers["Content-Length"] = str(data.size)
    return request


async def _exchange(request: _Request, connection: Any) -> ClientResponse:
    connection.protocol.set_response_params(
        timer=_NO_TIMER,
        skip_payload=request.method == "HEAD",
        read_until_eof=True,
        auto_decompress=False,
        read_bufsize=READ_BUFFER_BYTES,
    )
    response = await request.send(connection)
    try:
        return await response.start(connection)
    except BaseException:
        response.close()
        raise
