"""Finds the run that is meant: by its id, by a part of it, or the latest one."""

from typing import TYPE_CHECKING

from agent_lab.errors import InvalidRequestError, UnknownRunError

if TYPE_CHECKING:
    from agent_lab.runs.archive import RunArchive
    from agent_lab.runs.listing import RunSummary

LAST = "last"
SHORTEST = 4
"""Characters of a part of an id."""
WHOLE = 26
"""Characters of an id."""
LATEST = 1000
"""Runs whose ends are looked at."""


async def find_run(runs: "RunArchive", name: str) -> "RunSummary":
    """Find a run.

    Args:
        runs: Where it is kept.
        name: Its id; the beginning of its id; the end of its id, if it is one of the latest runs;
            or `last`.

    Raises:
        UnknownRunError: There is none.
        InvalidRequestError: There are several.
    """
    found = (await runs.list(most=1)).runs if name == LAST else await _named(runs, name.upper())
    if not found:
        raise UnknownRunError(name)
    if len(found) > 1:
        ids = ", ".join(f"`{run.id}`" for run in found[:3])
        more = ", …" if len(found) > len(found[:3]) else ""
        raise InvalidRequestError(
            f"`{name}` can mean several runs: {ids}{more}.", hint="more characters of the id"
        )
    return found[0]


async def _named(runs: "RunArchive", name: str) -> "tuple[RunSummary, ...]":
    if len(name) < SHORTEST:
        return ()
    # Ids are listed downwards: those that begin with the name come first after it.
    nearest = await runs.list(after=name.ljust(WHOLE + 1, "Z"), most=2)
    begun = tuple(run for run in nearest.runs if run.id.startswith(name))
    if begun or len(name) >= WHOLE:
        return begun
    latest = await runs.list(most=LATEST)
    return tuple(run for run in latest.runs if run.id.endswith(name))
