"""The capture that comes with the package. Its origin and licence stand beside it."""

from pathlib import Path


def bundled() -> Path:
    """Return the bundled capture: BTCUSDT and ETHUSDT on Binance spot, six minutes of 2024-08-08."""
    return Path(__file__).parent / "binance_spot_20240808.gz"
