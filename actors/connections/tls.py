"""TLS that returns everything a read of the socket brought.

``trio.SSLStream`` returns one TLS record at a time. Servers write a record for every message, or nearly: each
would cost a call through every layer above, where a read of the socket brings hundreds.
"""

import ssl
from contextlib import suppress
from operator import index
from typing import NoReturn, Self

import trio

#: The most plaintext that one record carries (RFC 8446, section 5.1).
_RECORD = 16 * 1024

#: Seconds that telling the peer why TLS ends may take.
_ALERT = 1.0


class TLSStream(trio.abc.Stream):
    """A client's side of TLS over ``transport``; ``open`` makes one, after the handshake.

    Receiving never sends: what the peer is owed for its key update goes out before the next data, which is
    when it is due (RFC 8446, section 4.6.3). So a peer that does not read holds up no receiving. As with
    https, a transport that ends without a close_notify is an end like any other, and none is sent: a
    WebSocket has a closing handshake of its own.
    """

    def __init__(self, transport: trio.abc.Stream, context: ssl.SSLContext, host: str) -> None:
        context.options |= ssl.OP_NO_RENEGOTIATION  # in TLS 1.2 reading and writing would need each other
        self._transport = transport
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._decrypted = b""  # more than was asked for
        self._ended = False  # the peer sent its close_notify
        self._failure: ssl.SSLError | None = None
        self._sending = False
        self._receiving = False
        self._torn = False  # a send was cut short: nothing more can be sent
        self._closed = False

    @classmethod
    async def open(cls, transport: trio.abc.Stream, context: ssl.SSLContext, host: str) -> Self:
        """Shake hands with ``host``, whose certificate ``context`` judges.

        Raises BrokenResourceError, caused by what went wrong. A cancelled handshake leaves the transport in
        the middle of it: close it.
        """
        stream = cls(transport, context, host)
        while True:
            try:
                stream._tls.do_handshake()
            except ssl.SSLWantReadError:
                await stream._flush()
                if chunk := await transport.receive_some():
                    stream._incoming.write(chunk)
                else:
                    stream._incoming.write_eof()
            except ssl.SSLError as error:
                await stream._fail(error)
            else:
                await stream._flush()
                return stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send. A send that is cancelled ends the sending."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._check()
        if self._torn or self._failure is not None:
            raise trio.BrokenResourceError("an earlier send was cut short, or TLS is over")
        if not data:
            await trio.lowlevel.checkpoint()
            return
        self._sending = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()  # before anything is encrypted
            self._tls.write(data)
            await self._flush()
        finally:
            self._sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport might take more."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._check()
        self._sending = True
        try:
            await self._transport.wait_send_all_might_not_block()
        finally:
            self._sending = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return all that can be decrypted of the next bytes to come, up to ``max_bytes``; b"" at the end.

        A cancelled call loses nothing.
        """
        if max_bytes is not None and index(max_bytes) < 1:
            raise ValueError("max_bytes must be >= 1")
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving on this stream")
        self._check()
        self._receiving = True
        try:
            received = await self._receive()
        finally:
            self._receiving = False
        if max_bytes is not None and len(received) > max_bytes:
            received, self._decrypted = received[:max_bytes], received[max_bytes:]
        return received

    async def aclose(self) -> None:
        """Close the transport."""
        self._closed = True
        await self._transport.aclose()

    async def _receive(self) -> bytes:
        if self._decrypted or self._incoming.pending or self._ended:  # nothing to wait for
            await trio.lowlevel.checkpoint()
        while not (received := self._decrypt()) and not self._ended:
            if self._failure is not None:
                await self._fail(self._failure)
            chunk = await self._transport.receive_some()
            if not chunk:
                break
            self._incoming.write(chunk)
        return received

    def _decrypt(self) -> bytes:
        """Return all there is to decrypt; a record that cannot be is noted as ``_failure``."""
        pieces, self._decrypted = [self._decrypted], b""
        if self._ended or self._failure is not None:
            return pieces[0]
        read, incoming = self._tls.read, self._incoming
        try:
            # The test saves an exception, as dear as two records, where the last one came whole.
            while incoming.pending:
                piece = read(_RECORD)
                if not piece:
                    self._ended = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._failure = error
        return b"".join(pieces)

    async def _flush(self) -> None:
        """Send what TLS has to say."""
        if self._outgoing.pending:
            self._torn = True
            await self._transport.send_all(self._outgoing.read())
            self._torn = False

    async def _fail(self, error: ssl.SSLError) -> NoReturn:
        """Tell the peer why TLS is over, and raise BrokenResourceError."""
        if not self._sending:
            with (
                trio.move_on_after(_ALERT),
                suppress(trio.BrokenResourceError, trio.ClosedResourceError),
            ):
                await self._flush()
        raise trio.BrokenResourceError from error

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError
