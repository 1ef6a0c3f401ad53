"""An engine in a process of its own: several calls at once, none left waiting when it ends."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from agent_lab.providers.local.engines import engine_process
from agent_lab.providers.local.engines.engine_process import EngineEndedError, EngineProcess

ODD = "tests.providers.local.odd_engine"


def never() -> bool:
    return False


@pytest.fixture
def process() -> Iterator[EngineProcess]:
    started = EngineProcess(ODD, {"ODD": "1"})
    started.ask({"hello": 1})
    started.serve()
    yield started
    started.close()


def test_the_first_answer_is_to_the_first_question():
    started = EngineProcess(ODD, {})
    assert started.ask({"hello": 1}) == {"heard": {"hello": 1}}
    started.close()


def test_an_engine_that_ends_at_once_is_an_error_that_says_how():
    started = EngineProcess(ODD, {})
    with pytest.raises(EngineEndedError, match="exit code 3"):
        started.ask({"end": 3})
    started.close()


def test_each_of_many_calls_at_once_hears_its_own_lines(process: EngineProcess):
    def heard(number: int) -> list[int]:
        pieces = [number * 100 + i for i in range(50)]
        lines = list(process.call({"pieces": pieces}, never))
        assert lines[-1]["end"]
        assert [line["chunk"] for line in lines[:-1]] == pieces
        return pieces

    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(heard, range(40)))) == 40


def test_a_cancelled_call_is_stopped_also_while_nothing_comes(process: EngineProcess):
    cancelled = threading.Event()
    lines = process.call({"endless": True, "pieces": [1]}, cancelled.is_set)
    assert next(lines)["chunk"] == 1
    cancelled.set()
    assert [(line["end"], line["stopped"]) for line in lines] == [(True, True)]


def test_all_who_wait_are_told_when_the_engine_ends(process: EngineProcess):
    waiting = [process.call({"endless": True, "pieces": [1]}, never) for _ in range(3)]
    for lines in waiting:
        next(lines)
    with pytest.raises(EngineEndedError, match="exit code 4"):
        list(process.call({"end": 4}, never))
    for lines in waiting:
        with pytest.raises(EngineEndedError):
            next(lines)
    assert not process.alive
    with pytest.raises(EngineEndedError):
        list(process.call({}, never))


def test_an_engine_that_does_not_end_by_itself_is_killed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_process, "LAST_S", 0.2)
    started = EngineProcess(ODD, {})
    started.ask({"stays": True})
    started.serve()
    started.close()
    assert not psutil.pid_exists(started.pid)
