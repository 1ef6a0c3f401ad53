"""A reader of a live run misses nothing, however far it falls behind."""

from collections.abc import Callable

import pytest

from agent_lab.orchestrator.run_context import utc_now
from agent_lab.runs import live
from agent_lab.runs.events import RunEvent
from agent_lab.runs.live import LiveReader, LiveRun


def event(seq: int) -> RunEvent:
    return RunEvent(
        run_id="r", seq=seq, ts=utc_now(), type="STEP_STARTED", payload={"stepName": str(seq)}
    )


def made(seq: int) -> Callable[[str], RunEvent]:
    return lambda _: event(seq)


@pytest.mark.parametrize("during", range(8))
def test_what_comes_while_the_log_is_read_is_shown_once_and_in_order(
    during: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "MOST_UNREAD", 3)
    run, log, seen = LiveRun("r", utc_now), [event(1), event(2)], list[int | None]()

    def happens(count: int) -> None:
        for seq in range(len(log) + 1, len(log) + 1 + count):
            log.append(event(seq))
            run.publish("STEP_STARTED", "", made(seq))

    with LiveReader(run, 0) as reader:
        for count in (during, 1, 0):
            while reader.has_missed:
                reader.before_reading()
                read = [kept for kept in log if kept.seq and kept.seq > reader.after]
                happens(count)
                count = 0
                reader.catch_up(read)
                seen += [shown.seq for shown in reader.news()]
            happens(count)
            seen += [shown.seq for shown in reader.news()]
    assert seen == [kept.seq for kept in log]
