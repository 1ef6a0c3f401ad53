"""Where runs are kept: SQLite beside the lab's other data, or a Postgres server."""
