"""A bridge from standard input and output to the running daemon; it knows nothing of markets."""
