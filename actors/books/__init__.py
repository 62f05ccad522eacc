"""Order books: kept in step, audited against fresh snapshots."""
