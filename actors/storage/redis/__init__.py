"""The hot tier in Redis: the last hour for other programs, and for a daemon that lost its data directory."""
