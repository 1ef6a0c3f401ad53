"""What can become of runs and of what is kept of them."""

from agent_lab.errors.base import AgentLabError


class StorageError(AgentLabError):
    """A record cannot be written or read: a folder that is not writable, a full disk."""

    code = "storage_error"
    http_status = 503
    exit_code = 4


class SchemaVersionError(StorageError):
    """The database is older, or newer, than this version of the lab; the hint says what to do."""

    code = "schema_version"


class RunError(AgentLabError):
    """A run, and what became of it."""

    code = "run_error"
    http_status = 409


class UnknownRunError(RunError):
    """There is no run of this id.

    Args:
        run_id: The id, as it was given.
    """

    code = "unknown_run"
    http_status = 404
    exit_code = 2

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"There is no run `{run_id}`.", hint="agent-lab runs list", details={"name": run_id}
        )


class RunStateError(RunError):
    """What was asked of a run cannot be done in the state in which it is now."""

    code = "run_state"


class JournalMismatchError(RunError):
    """A run that is executed again asks something else than its journal has an answer to."""

    code = "journal_mismatch"


class RunTakenOverError(RunError):
    """Another process has taken the run over; this one has ended it without a word."""

    code = "run_taken_over"


class RunWaitingError(RunError):
    """A run can do nothing more before a person has spoken."""

    code = "run_waiting"


class TurnLostError(RunError):
    """A turn was asked again and again, and each time the process died before it had ended."""

    code = "turn_lost"
    http_status = 502


class RunFailedError(RunError):
    """A run ended without an answer; `details` holds the run's id."""

    code = "run_failed"
    http_status = 502
