"""Answers: about the market, from memory and the stores, and about the daemon itself."""
