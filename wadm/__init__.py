"""WADM: exact volume profiles and order flow from live crypto trades."""

__version__ = "0.1.0"
