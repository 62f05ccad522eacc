"""The cold tier: whole past days as Parquet files, in a folder or on an S3-compatible server."""
