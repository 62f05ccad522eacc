"""Gaps in the trades: noticed, filled, checked against the exchange's own candles."""
