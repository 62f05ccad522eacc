"""What is told as it happens: channels that are subscribed to, over a WebSocket or as server-sent events."""
