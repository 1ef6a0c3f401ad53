"""A second execution takes the same way: what the journal has is neither paid nor done again."""

import random
from typing import Any

import pytest

from agent_lab.contracts import RunRecord
from agent_lab.errors import JournalMismatchError, RunStateError, StorageError
from agent_lab.orchestrator.routers import ROUTERS, router
from agent_lab.providers.base import ProviderCall
from agent_lab.runs.events import TERMINAL
from tests.orchestrator.conftest import flow_of, speaker
from tests.runs.conftest import LONG, Place, asking, comparable, deterministic, digest_of
from tests.runs.flows import ALL, FAN_OUT, MEASURED, NESTED

INPUTS = {"challenge": {"rounds": 3}}
FAILING = {
    "challenge": "challenger",
    "consensus": "model_b",
    "debate": "debater_b",
    "fan_out": "b1",
    "linear": "execution",
    "measured": "large",
    "mixture_of_agents": "proposer_b",
    "multi_perspective": "security_expert",
    "nested": "inner",
    "self_consistency": "solver",
    "single": "solver",
    "within": "debate.challenger",
}
"""By flow: a role whose turns fail now and then."""


def failing(role: str) -> Any:
    """Answers in which one role fails every second time, by what it is asked."""

    def answer(call: ProviderCall) -> Any:
        if call.role == role and digest_of(call) % 2:
            return OSError("gone")
        return deterministic(call)

    return answer


async def done(place: Place, flow: str, script: Any = deterministic) -> tuple[RunRecord, int]:
    """A run to its end, and how often somebody was asked."""
    runs, provider = place.service(script, ALL)
    record = await runs.run(asking(flow, inputs=INPUTS.get(flow, {})))
    await runs.aclose()
    return record, len(provider.calls)


async def resumed(place: Place, run_id: str, script: Any = deterministic) -> tuple[RunRecord, int]:
    runs, provider = place.service(script, ALL)
    await runs.resume(run_id)
    record = await runs.wait(run_id)
    await runs.aclose()
    return record, len(provider.calls)


def last_seq(place: Place, run_id: str) -> int:
    [(last,)] = place.sql("SELECT max(seq) FROM run_events WHERE run_id = ?", run_id)
    return int(last)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("flow", ALL)
async def test_a_run_that_broke_off_anywhere_ends_as_if_it_had_not(
    place: Place, flow: str, fails: bool
):
    role = FAILING[flow].rpartition(".")[2] if fails else ""
    script = failing(role)
    whole, _ = await done(place, flow, script)
    ends = last_seq(place, whole.id)
    for seq in random.Random(f"{flow} {role}").sample(  # noqa: S311
        range(1, ends), min(4, ends - 1)
    ):
        place.put_back(whole.id, seq)
        kept = place.sql(
            "SELECT count(*) FROM turns WHERE run_id = ? AND status != 'started'", whole.id
        )
        again, calls = await resumed(place, whole.id, script)
        assert comparable(again) == comparable(whole), seq
        assert len(again.turns) - kept[0][0] <= calls  # a failed turn has several attempts


@pytest.mark.parametrize("flow", ALL)
async def test_any_turns_that_are_missing_are_asked_again_and_no_others(place: Place, flow: str):
    whole, calls = await done(place, flow)
    assert calls == len(whole.turns)
    for number in range(3):
        chosen = random.Random(f"{flow} {number}")  # noqa: S311
        missing = [turn for turn in whole.turns if chosen.random() < 0.4]
        for turn in missing:
            place.unfinish(whole.id, (turn.path, turn.visit, turn.retry))
        place.sql("UPDATE turns SET starts = 1")
        place.sql("DELETE FROM run_events WHERE type = 'RUN_FINISHED'")
        place.sql("UPDATE runs SET status = 'running', output = NULL")
        place.sql("DELETE FROM workers")
        again, calls = await resumed(place, whole.id)
        assert comparable(again) == comparable(whole)
        assert calls == len(missing)


@pytest.mark.parametrize("flow", ALL)
async def test_answers_that_come_once_only_are_replayed_without_a_call(place: Place, flow: str):
    nonces = iter(range(10**6))
    whole, _ = await done(place, flow, lambda call: f"{LONG} {next(nonces)}")
    runs, provider = place.service(lambda call: "somebody was asked", ALL)
    report = await runs.replay(whole.id)
    assert (report.turns, report.calls, report.differences) == (len(whole.turns), 0, ())
    assert report.same_output
    assert provider.calls == []
    await runs.aclose()


async def test_a_way_that_was_chosen_by_a_measure_is_taken_again(place: Place):
    whole, _ = await done(place, "measured")
    place.put_back(whole.id, 4)
    place.sql(
        "UPDATE run_events SET payload = replace(payload, '\"memory_gb\":', "
        "'\"memory_gb\":0.0,\"before\":') WHERE type = 'ACTIVITY_SNAPSHOT'"
    )
    place.sql("DELETE FROM run_events WHERE seq > 3")
    again, _ = await resumed(place, whole.id)
    assert [turn.path for turn in whole.turns] == ["large"]
    assert [turn.path for turn in again.turns] == ["small"]


@router("impure_test_router", "left", "right")
def impure(state: Any) -> str:
    """Says something else each time, which no router should."""
    return next(SAYS)


SAYS = iter(["left", "right", "right", "right"])
ROUTED = flow_of(
    speaker("begin", "Begin."),
    speaker("left", "Left."),
    speaker("right", "Right."),
    edges="",
    name="routed",
)


async def test_what_a_router_said_it_has_said(place: Place):
    assert "impure_test_router" in ROUTERS.names()
    edges = [
        {
            "source": "begin",
            "target": way,
            "condition": {"op": "route", "router": "impure_test_router", "to": way},
        }
        for way in ("left", "right")
    ]
    flow = type(ROUTED).model_validate({**ROUTED.model_dump(), "edges": edges})
    runs, _ = place.service(deterministic, {"routed": flow})
    whole = await runs.run(asking("routed"))
    await runs.aclose()
    place.put_back(whole.id, last_seq(place, whole.id) - 5)
    runs, _ = place.service(deterministic, {"routed": flow})
    await runs.resume(whole.id)
    again = await runs.wait(whole.id)
    assert [turn.path for turn in again.turns] == ["begin", "left"]
    await runs.aclose()


async def test_a_turn_that_never_ends_is_asked_three_times_and_then_has_failed(place: Place):
    whole, _ = await done(place, "challenge")
    place.put_back(whole.id, 3)
    place.sql("UPDATE turns SET starts = 3")
    again, _ = await resumed(place, whole.id)
    [lost] = [turn for turn in again.turns if turn.path == "creator"]
    assert lost.status == "failed"
    assert lost.error is not None
    assert lost.error.code == "turn_lost"


async def test_another_question_in_the_same_place_is_told_and_not_mixed(place: Place):
    whole, _ = await done(place, "challenge")
    place.put_back(whole.id, 6)
    place.sql("UPDATE turns SET request_hash = 'another one'")
    runs, provider = place.service(deterministic, ALL)
    await runs.resume(whole.id)
    record = await runs.wait(whole.id)
    assert record.status == "failed"
    assert record.error is not None
    assert record.error.code == "journal_mismatch"
    assert "`creator:0:0`" in record.error.message
    assert provider.calls == []
    await runs.aclose()


@pytest.mark.parametrize(
    ("column", "value", "difference"),
    [
        ("messages", '[["user", ["Something else."]]]', "message"),
        ("request", '{"max_tokens": 5}', "`max_tokens` was 5"),
        ("role", "somebody", "the role was `somebody`"),
        ("model_key", "another", "the model was `another`"),
    ],
)
async def test_the_difference_is_named(place: Place, column: str, value: str, difference: str):
    whole, _ = await done(place, "single")
    place.sql(f"UPDATE turns SET request_hash = 'x', {column} = ?", value)  # noqa: S608
    runs, _ = place.service(deterministic, ALL)
    [told] = (await runs.replay(whole.id)).differences
    assert difference in told
    await runs.aclose()


async def test_a_run_goes_on_by_the_flow_with_which_it_was_started(
    place: Place, caplog: pytest.LogCaptureFixture
):
    whole, _ = await done(place, "fan_out")
    place.put_back(whole.id, 8)
    changed = FAN_OUT.model_copy(update={"nodes": FAN_OUT.nodes[:1], "edges": ()})
    runs, _ = place.service(deterministic, {"fan_out": changed})
    await runs.resume(whole.id)
    assert comparable(await runs.wait(whole.id)) == comparable(whole)
    assert "has changed" in caplog.text
    await runs.aclose()


async def test_a_changed_flow_within_the_flow_is_told_and_not_mixed(place: Place):
    whole, _ = await done(place, "within")
    place.put_back(whole.id, 8)
    changed = {**ALL, "challenge": NESTED.model_copy(update={"name": "challenge"})}
    runs, provider = place.service(deterministic, changed)
    with pytest.raises(JournalMismatchError, match="`challenge`"):
        await runs.resume(whole.id)
    assert provider.calls == []
    await runs.aclose()


async def test_a_run_that_failed_by_its_turns_is_not_gone_on_with(place: Place):
    runs, _ = place.service(lambda call: OSError("gone"), ALL)
    record = await runs.run(asking("single"))
    with pytest.raises(RunStateError, match="fail again"):
        await runs.resume(record.id)
    await runs.aclose()


async def test_a_resumed_run_says_so_once_and_has_one_ending(place: Place):
    whole, _ = await done(place, "challenge")
    place.put_back(whole.id, 7)
    await resumed(place, whole.id)
    runs, _ = place.service(deterministic, ALL)
    events = [event async for event in runs.follow(whole.id)]
    logged = [event for event in events if event.seq is not None]
    assert [event.seq for event in logged] == list(range(1, len(logged) + 1))
    assert sum(event.type in TERMINAL for event in logged) == 1
    [activity] = [event for event in logged if event.type == "ACTIVITY_SNAPSHOT"]
    assert activity.payload["activityType"] == "lab.run_resumed"
    assert activity.payload["content"] == {"turns": 1}
    await runs.aclose()


async def test_a_budget_holds_over_all_executions(place: Place):
    runs, provider = place.service(deterministic, ALL)
    request = asking("challenge", inputs={"rounds": 3}, budget={"calls": 4})
    whole = await runs.run(request)
    await runs.aclose()
    assert len(provider.calls) == 4
    place.put_back(whole.id, 8)
    again, calls = await resumed(place, whole.id)
    assert comparable(again) == comparable(whole)
    assert calls == 2
    assert MEASURED.name in ALL


async def test_no_turn_is_asked_after_one_whose_end_could_not_be_kept(place: Place):
    runs, provider = place.service(deterministic, ALL)
    await runs.list()  # the database is there
    place.sql(
        "CREATE TRIGGER lost BEFORE UPDATE OF text ON turns "
        "BEGIN SELECT RAISE(ABORT, 'the end is lost'); END"
    )
    with pytest.raises(StorageError, match="the end is lost"):
        await runs.run(asking("challenge"))
    assert [call.role for call in provider.calls] == ["creator"]
    place.sql("DROP TRIGGER lost")
    [run] = (await runs.list()).runs
    await runs.resume(run.id)
    assert (await runs.wait(run.id)).status == "completed"
    await runs.aclose()
