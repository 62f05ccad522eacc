"""Recorded exchange traffic, and the local exchange server that plays it."""
