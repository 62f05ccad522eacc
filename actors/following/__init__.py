"""Which symbols are followed, and how that changes while the daemon runs."""
