"""What an exchange demands of its clients, and how much of it a playback keeps."""

import attrs


@attrs.frozen
class Terms:
    """Limits and patience, in seconds where they are times; None where there is none.

    What an exchange counts by the minute or longer is not counted unless asked for: a playback that runs a
    thousand times as fast as its recording would meet limits that the recording never came near.
    """

    #: Between ping frames from the server, and until it gives up waiting for a pong.
    ping_interval: float | None = None
    pong_timeout: float = 60.0
    #: How long a connection may go without a message from the client.
    idle_timeout: float | None = None
    #: How long a connection lives at most.
    lifetime: float | None = None
    #: Incoming messages on one connection.
    messages_per_second: int | None = None
    #: Connection attempts of one address in five minutes.
    connections: int | None = None
    #: What REST requests may weigh in one ``weight_window``.
    weight_limit: int | None = None
    weight_window: float = 60.0
