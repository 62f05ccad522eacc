"""Where the blocking work of a sink is done: in a thread of the daemon, or in a process of its own."""
