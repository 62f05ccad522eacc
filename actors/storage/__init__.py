"""Where data is kept: the journal, the stores that follow it, and the actors that move it."""
