"""How large databases are."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg

from durability_peers.arms import Arms
from durability_peers.timing import together

_BY_TABLE = """
    SELECT name, sum(pgsize), 1 - sum(unused) * 1.0 / sum(pgsize) FROM dbstat
    GROUP BY name HAVING count(*) > 1 ORDER BY 2 DESC
"""


async def bytes_per_run(arms: Arms, runs: int, at_once: int) -> dict[str, float]:
    """By how much each arm's database grows for each of some runs.

    Args:
        arms: What is run.
        runs: How many.
        at_once: How many are begun together.
    """
    found = {}
    for name, place in arms.places.items():
        before = _bytes_of(place)
        await together(arms.task.arms[name], runs, at_once)
        found[name] = (_bytes_of(place) - before) / runs
        arms.task.provider.calls.clear()
        arms.task.clean()
    return found


def by_table(file: Path) -> Iterator[tuple[str, int, float]]:
    """Each table and index of a SQLite file: its name, bytes, and how full its pages are.

    Those of a single page are left out.
    """
    with closing(sqlite3.connect(file)) as connection:
        try:
            yield from connection.execute(_BY_TABLE)
        except sqlite3.OperationalError:  # this SQLite is built without it
            return


def _bytes_of(place: str | Path) -> int:
    """Of a SQLite file, whatever waits beside it taken in; of a Postgres database by its URL."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return place.stat().st_size
    with psycopg.connect(place, autocommit=True) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return 0 if row is None else int(row[0])
