"""What runs: connections, aggregators, storage, backfill, HTTP, MCP, the command line. All I/O is here."""
