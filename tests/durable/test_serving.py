"""The launcher on the wire: what a client of one HTTP/2 connection sees while the service leaves."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event, PingAckReceived, ResponseReceived, StreamEnded, StreamReset

from tests.parts.service import Service

Launch = Callable[..., Awaitable[Service]]
Seen = TypeVar("Seen", bound=Event)

INVOCATION = ("/invoke/Examples/echo", "application/vnd.restate.invocation.v6")
HEALTH = ("/health", "application/json")


class Http2Client:
    """One HTTP/2 connection by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = H2Connection(H2Configuration(client_side=True))
        self._http.initiate_connection()
        self._seen: list[Event] = []

    def open_stream(self, path: str, content_type: str, body: bytes = b"") -> int:
        """Begins a request; with a body it leaves in the same packet, so that the server cannot answer in between."""
        stream = self._http.get_next_available_stream_id()
        headers = [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "test")]
        self._http.send_headers(stream, [*headers, ("content-type", content_type)])
        if body:
            self._http.send_data(stream, body, end_stream=True)
        self._flush()
        return stream

    @property
    def most_streams(self) -> int:
        """How many the server wants to have open at a time."""
        return self._http.remote_settings.max_concurrent_streams

    def ping(self) -> None:
        self._http.ping(b"12345678")
        self._flush()

    async def wait_for(self, *kinds: type[Seen], stream: int | None = None) -> Seen:
        """The next event of these kinds; fails when the server closes the connection first."""
        async with asyncio.timeout(20):
            while True:
                for event in self._seen:
                    if isinstance(event, kinds) and stream in (None, getattr(event, "stream_id", None)):
                        self._seen.remove(event)
                        return event
                data = await self._reader.read(65536)
                assert data, "the server closed the connection"
                self._seen += self._http.receive_data(data)
                assert not any(isinstance(event, ConnectionTerminated) for event in self._seen), "the server gave up"
                self._flush()

    def _flush(self) -> None:
        self._writer.write(self._http.data_to_send())


@asynccontextmanager
async def connected(service: Service) -> AsyncGenerator[Http2Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    yield Http2Client(reader, writer)
    writer.close()


async def test_a_stream_that_is_refused_after_sigterm_does_not_cost_the_others_their_connection(
    service: Launch,
) -> None:
    tools = await service("tests.parts.example_tools", SERVER="hypercorn")
    async with connected(tools) as client:
        running = client.open_stream(*INVOCATION)
        await client.wait_for(ResponseReceived, stream=running)
        tools.send(tools.program.stop_signal)
        await refused_stream(client)
        client.ping()
        await client.wait_for(PingAckReceived)


async def refused_stream(client: Http2Client) -> None:
    """Streams with data, one after the other, until the server has begun to leave and takes no more."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        stream = client.open_stream(*HEALTH, body=b"{}")
        if isinstance(await client.wait_for(StreamReset, StreamEnded, stream=stream), StreamReset):
            return
    pytest.fail("no stream was refused")


async def test_a_connection_outlives_a_thousand_requests_and_what_is_in_flight_on_it(service: Launch) -> None:
    tools = await service("tests.parts.example_tools", SERVER="hypercorn")
    async with connected(tools) as client:
        running = client.open_stream(*INVOCATION)
        await client.wait_for(ResponseReceived, stream=running)
        for _ in range(1_100):
            stream = client.open_stream(*HEALTH, body=b"{}")
            await client.wait_for(StreamEnded, stream=stream)
        client.ping()
        await client.wait_for(PingAckReceived)


async def test_a_client_may_begin_with_more_streams_than_it_is_then_told_to(service: Launch) -> None:
    tools = await service("tests.parts.example_tools", SERVER="hypercorn")
    async with connected(tools) as client:
        streams = [client.open_stream(*HEALTH, body=b"{}") for _ in range(60)]
        for stream in streams:
            await client.wait_for(StreamEnded, stream=stream)
        assert client.most_streams == 16
