"""TLS over memory streams: what trio asks of a stream, and what a peer may do to one."""

import ssl

import attrs
import pytest
import trio
import trio.testing
import trustme

from actors.connections.tls import TLSStream

AUTHORITY = trustme.CA()
HOST = "exchange.test"
CERTIFICATE = AUTHORITY.issue_cert(HOST)
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def client_context(authority: trustme.CA = AUTHORITY) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def server_context(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    CERTIFICATE.configure_cert(context)
    return context


@attrs.define
class Server:
    """The other side, whose records are sent by hand."""

    stream: trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]
    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO

    async def shake_hands(self, piece: int = 1 << 20) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            else:
                return await self.send(self.outgoing.read(), piece)
            await self.send(self.outgoing.read(), piece)
            self.incoming.write(await self.stream.receive_some())

    async def send(self, wire: bytes, piece: int) -> None:
        for at in range(0, len(wire), piece):
            await self.stream.send_all(wire[at : at + piece])
            await trio.testing.wait_all_tasks_blocked()

    def records(self, *messages: bytes) -> bytes:
        """Encrypt, a record each; return the wire's bytes."""
        for message in messages:
            self.tls.write(message)
        return self.outgoing.read()


def serving(version: ssl.TLSVersion) -> tuple[trio.abc.Stream, Server]:
    client, stream = trio.testing.memory_stream_pair()
    bios = ssl.MemoryBIO(), ssl.MemoryBIO()
    return client, Server(stream, server_context(version).wrap_bio(*bios, server_side=True), *bios)


async def opened(
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, piece: int = 1 << 20
) -> tuple[TLSStream, Server]:
    """Shake hands, the server ``piece`` bytes at a time."""
    client, server = serving(version)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.shake_hands, piece)
        tls = await TLSStream.open(client, client_context(), HOST)
    return tls, server


async def _two_sided(
    client: trio.abc.Stream, server: trio.abc.Stream, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> tuple[TLSStream, trio.SSLStream[trio.abc.Stream]]:
    other = trio.SSLStream(server, server_context(version), server_side=True, https_compatible=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other.do_handshake)
        tls = await TLSStream.open(client, client_context(), HOST)
    return tls, other


async def test_it_is_a_stream_as_trio_wants_one() -> None:
    async def over(
        pair: tuple[trio.abc.Stream, trio.abc.Stream],
    ) -> tuple[TLSStream, trio.SSLStream[trio.abc.Stream]]:
        client, server = pair
        return await _two_sided(client, server)

    await trio.testing.check_two_way_stream(
        lambda: over(trio.testing.memory_stream_pair()), lambda: over(trio.testing.lockstep_stream_pair())
    )


async def test_all_that_one_read_brought_is_returned_at_once() -> None:
    tls, server = await opened()
    messages = [b"%d" % number * 50 for number in range(300)]
    await server.stream.send_all(server.records(*messages, b"x" * 40_000))
    assert await tls.receive_some() == b"".join(messages) + b"x" * 40_000


async def test_what_came_with_the_handshake_is_not_lost() -> None:
    client, server = serving(ssl.TLSVersion.TLSv1_2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_shake_hands_and_say, server, b"at once")
        tls = await TLSStream.open(client, client_context(), HOST)
    with trio.fail_after(5):
        assert await tls.receive_some(3) == b"at "
        assert await tls.receive_some() == b"once"


async def _shake_hands_and_say(server: Server, message: bytes) -> None:
    while True:
        try:
            server.tls.do_handshake()
        except ssl.SSLWantReadError:
            await server.stream.send_all(server.outgoing.read())
            server.incoming.write(await server.stream.receive_some())
        else:
            return await server.stream.send_all(server.records(message))


@pytest.mark.parametrize("version", VERSIONS)
async def test_records_cut_at_every_byte(version: ssl.TLSVersion) -> None:
    tls, server = await opened(version, piece=7)
    messages = b"first", b"s", b"x" * 200
    length = len(server_wire := server.records(*messages))
    await server.stream.send_all(server_wire)
    assert await tls.receive_some() == b"".join(messages)
    for cut in range(1, length):
        wire, received = server.records(*messages), b""
        await server.stream.send_all(wire[:cut])
        with trio.move_on_after(0):  # cancelled where no record has come whole: nothing may be lost
            received = await tls.receive_some()
        await server.stream.send_all(wire[cut:])
        while len(received) < 206:
            received += await tls.receive_some()
        assert received == b"".join(messages), cut


async def test_a_close_notify_is_the_end_after_what_came_before() -> None:
    tls, server = await opened()
    wire = server.records(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.unwrap()
    await server.stream.send_all(wire + server.outgoing.read() + b"and noise")
    assert [await tls.receive_some() for _ in range(3)] == [b"last", b"", b""]


async def test_an_end_without_close_notify_is_one_too() -> None:
    tls, server = await opened()
    await server.stream.send_all(server.records(b"last") + server.records(b"half")[:9])
    await server.stream.send_eof()
    assert [await tls.receive_some() for _ in range(3)] == [b"last", b"", b""]


async def test_a_record_that_was_tampered_with_ends_all_after_what_came_before() -> None:
    tls, server = await opened()
    bad = bytearray(server.records(b"bad"))
    bad[-1] ^= 1
    good = server.records(b"good")  # numbered after the bad one: it cannot be read without it
    await server.stream.send_all(bad + good)
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError) as broken:
            await tls.receive_some()
        assert isinstance(broken.value.__cause__, ssl.SSLError)
    with pytest.raises(trio.BrokenResourceError):
        await tls.send_all(b"no more")
    server.incoming.write(await server.stream.receive_some())
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
        server.tls.read()


async def test_records_before_a_bad_one_are_received() -> None:
    tls, server = await opened()
    await server.stream.send_all(server.records(b"good") + b"\x17\x03\x03\x00\x20" + bytes(32))
    assert await tls.receive_some() == b"good"
    with pytest.raises(trio.BrokenResourceError):
        await tls.receive_some()


@pytest.mark.parametrize(
    ("authority", "host", "reason"),
    [(trustme.CA(), HOST, "unable to get local issuer"), (AUTHORITY, "other.test", "Hostname mismatch")],
)
async def test_a_certificate_that_is_not_right(authority: trustme.CA, host: str, reason: str) -> None:
    client, server = serving(ssl.TLSVersion.TLSv1_3)

    async def be_told() -> None:
        with pytest.raises(ssl.SSLError, match=r"ALERT_(UNKNOWN_CA|BAD_CERTIFICATE)"):
            await server.shake_hands()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(be_told)
        with pytest.raises(trio.BrokenResourceError) as broken:
            await TLSStream.open(client, client_context(authority), host)
    assert isinstance(broken.value.__cause__, ssl.SSLCertVerificationError)
    assert reason in str(broken.value.__cause__)


async def test_a_peer_that_hangs_up_during_the_handshake() -> None:
    client, server = serving(ssl.TLSVersion.TLSv1_3)
    await server.stream.send_eof()
    with pytest.raises(trio.BrokenResourceError) as broken:
        await TLSStream.open(client, client_context(), HOST)
    assert isinstance(broken.value.__cause__, ssl.SSLError)


async def test_a_send_that_is_cut_short_ends_the_sending_only() -> None:
    client, other = trio.testing.lockstep_stream_pair()
    peer = trio.SSLStream(
        other, server_context(ssl.TLSVersion.TLSv1_2), server_side=True, https_compatible=True
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.do_handshake)
        tls = await TLSStream.open(client, client_context(), HOST)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tls.send_all, b"half")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with pytest.raises(trio.BrokenResourceError, match="cut short"):
        await tls.send_all(b"more")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.send_all, b"still heard")
        assert await tls.receive_some() == b"still heard"


async def test_much_goes_both_ways_at_once() -> None:
    tls, peer = await _two_sided(*trio.testing.memory_stream_pair())
    much = bytes(range(256)) * 4_000

    async def take(stream: trio.abc.ReceiveStream) -> None:
        taken = bytearray()
        while len(taken) < len(much):
            taken += await stream.receive_some()
        assert taken == much

    async with trio.open_nursery() as nursery:
        for one in (tls, peer):
            nursery.start_soon(one.send_all, much)
            nursery.start_soon(take, one)
