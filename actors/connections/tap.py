"""Whole text frames straight from the socket, past the WebSocket library that reads everything else.

The tap is a stream between the socket and trio-websocket. It takes whole, unfragmented text frames
(RFC 6455, section 5.2) out of what it reads, and hands the rest on unread: the opening handshake, control
frames, binary and fragmented messages, and all that breaks the protocol, so that there is one judge of what
a peer may send. One thing it does not leave to it: text that is not UTF-8 would end the connection (section
8.1), and every stream on it with it. Here it costs that message, which whoever decodes it rejects.
"""

import re

import trio

from actors.connections.frames import Inbox
from actors.connections.framing import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MALFORMED,
    TEXT,
    WHOLE_TEXT,
    Header,
    read_header,
)

#: Bytes asked of the socket at once: about 300 trades.
READ_SIZE = 64 * 1024

_HEAD_END = re.compile(rb"\n\r?\n")
_SWITCHING = re.compile(rb"HTTP/\d\.\d 101\b")
_ALL = 1 << 63


class HandshakeCutError(Exception):
    """The opening handshake failed: ``head`` is what the server answered ("" where it only hung up)."""

    def __init__(self, head: str, failure: str | None = None) -> None:
        super().__init__(head)
        self.head = head
        self.failure = failure


class FrameTap(trio.abc.Stream):
    """A client's side of ``transport``: tapped frames go to ``inbox``, the rest to whoever reads this stream.

    One task reads. Order is kept: after a message was handed on, nothing is tapped until ``give_back``
    brings it.
    """

    def __init__(self, transport: trio.abc.Stream, inbox: Inbox, max_message_size: int) -> None:
        self._transport = transport
        self._inbox = inbox
        self._max_message_size = max_message_size
        self._sending = trio.Lock()
        self._head = bytearray()
        self._buffer = b""
        self._wanted = 1  # bytes the buffer must hold before looking at it again makes sense
        self._passing = 0  # bytes still to hand on before the next frame
        self._in_message = False  # a fragmented message has begun
        self._ends_message = False  # the frame being handed on ends a message
        self._handed_on = 0
        self._given_back = 0
        self._returned = trio.Event()
        self.open = False  # the opening handshake is over
        self.close_sent = False
        self.torn = False  # a send was cut short: nothing more can be sent
        self.failure: str | None = None  # what the transport said when it broke

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send whole frames. Raises BrokenResourceError once one was cut short."""
        async with self._sending:
            if self.torn:
                raise trio.BrokenResourceError("an earlier message was cut short")
            if self.open and data and data[0] & 0x0F == CLOSE:
                self.close_sent = True
            self.torn = True
            await self._transport.send_all(data)
            self.torn = False

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport might take more."""
        await self._transport.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the transport. Raises HandshakeCutError where the library gives up the handshake."""
        await self._transport.aclose()
        if not self.open:
            raise self._cut()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next bytes that are not tapped, however many (the library sets no limit); b"" at EOF.

        Raises HandshakeCutError where the opening handshake is cut short or refused.
        """
        while self._given_back < self._handed_on:
            self._returned = trio.Event()
            await self._returned.wait()
        while not (passed := self._advance()):
            await self._inbox.room()
            if not await self._fill():
                if not self.open:
                    raise self._cut()
                return b""
        return passed

    def give_back(self, message: bytes) -> None:
        """Take a message that the library read into its place among the tapped ones."""
        self._inbox.put([message], len(message))
        self._given_back += 1
        self._returned.set()

    def stop_waiting(self) -> None:
        """Expect no more messages from the library, and tap none: it has ended."""
        self._given_back = self._passing = _ALL
        self._returned.set()

    async def _fill(self) -> bool:
        """Read from the transport until the frame in hand may be whole; False at EOF."""
        chunks: list[bytes | bytearray] = [self._buffer]
        have = len(self._buffer)
        while True:
            try:
                chunk = await self._transport.receive_some(READ_SIZE)
            except trio.BrokenResourceError as error:
                self.failure = str(error.__cause__ or error)
                if not self.open:
                    raise self._cut() from error
                raise
            if not chunk:
                return False
            chunks.append(chunk)
            have += len(chunk)
            if have >= self._wanted:
                break
        self._inbox.stamp()
        self._buffer = b"".join(chunks)
        self._wanted = 1
        return True

    def _advance(self) -> bytes:
        """Tap what can be tapped; return what comes before the next tappable frame (b"": read more)."""
        if not self._passing and not self.open:
            return self._pass_head()
        if not self._passing:
            if not self._in_message:
                self._tap()
            self._look()
        return self._pass()

    def _pass_head(self) -> bytes:
        """Hand on the HTTP response, which frames follow. Raises HandshakeCutError where it is a refusal."""
        before = len(self._head)
        self._head += self._buffer
        end = _HEAD_END.search(self._head, max(before - 2, 0))
        if end is None:
            return self._take(len(self._buffer))
        if not _SWITCHING.match(self._head):
            raise self._cut()
        self.open = True
        return self._take(end.end() - before)

    def _cut(self) -> HandshakeCutError:
        return HandshakeCutError(self._head.decode("latin-1"), self.failure)

    def _tap(self) -> None:
        """Move the whole text frames at the head of the buffer to the inbox."""
        data = self._buffer
        at, end = 0, len(data) - 1
        frames: list[bytes] = []
        size = 0
        while at < end and data[at] == WHOLE_TEXT:
            length = data[at + 1]
            start = at + 2
            if length == 126 and at + 3 <= end:
                start = at + 4
                length = data[at + 2] << 8 | data[at + 3]
                if length < 126:
                    break
            elif length == 127 and at + 9 <= end:
                start = at + 10
                length = int.from_bytes(data[at + 2 : start])
                if length < 1 << 16:
                    break
            elif length > 125:  # an incomplete header, or a mask
                break
            stop = start + length
            if stop > end + 1 or length > self._max_message_size:
                break
            frames.append(data[start:stop])
            size += length
            at = stop
        self._inbox.put(frames, size)
        self._buffer = data[at:]

    def _look(self) -> None:
        """Decide about the frame at the head of the buffer, not tapped: await its rest, or hand it on."""
        if not self._buffer:
            return
        header = read_header(self._buffer)
        if header is None:
            self._wanted = len(self._buffer) + 1
        elif header is MALFORMED or header.opcode == CLOSE or not self._in_order(header):
            self._passing = _ALL
        elif header.fin and header.opcode == TEXT and header.length <= self._max_message_size:
            self._wanted = header.size
        else:
            self._passing = header.size
            if header.opcode <= BINARY:
                self._in_message = not header.fin
                self._ends_message = header.fin

    def _in_order(self, header: Header) -> bool:
        """Continuations continue something, and nothing else comes in between but control frames."""
        return header.opcode > BINARY or (header.opcode == CONTINUATION) == self._in_message

    def _pass(self) -> bytes:
        passed = self._take(min(self._passing, len(self._buffer)))
        if self._passing != _ALL:
            self._passing -= len(passed)
            if not self._passing and self._ends_message:
                self._ends_message = False
                self._handed_on += 1
        return passed

    def _take(self, count: int) -> bytes:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken
