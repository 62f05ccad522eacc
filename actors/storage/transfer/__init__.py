"""Data on its way out of a data directory and into one: tables in files, Parquet or CSV."""
