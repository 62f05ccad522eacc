"""The drill: a recording played with faults drawn from a seed, then clean, and both compared."""
