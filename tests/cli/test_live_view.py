"""What the live view shows of a run, and in which order."""

import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent_lab.cli.live_view import LiveView, plain_console
from agent_lab.cli.turn_order import OneAtATime
from agent_lab.contracts import RunRecord, Turn
from agent_lab.orchestrator.run_recorder import EventType
from agent_lab.runs.events import RunEvent
from tests.cli.conftest import Run

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def event(kind: EventType, **payload: Any) -> RunEvent:
    return RunEvent(run_id="run", seq=None, ts=NOW, type=kind, payload=payload)


def begun(*roles: str) -> RunEvent:
    cast = [{"role": role, "model": "fake", "fallback_from": None} for role in roles]
    return event("RUN_STARTED", run={"flow": "f", "seed": 1, "lang": "en"}, cast=cast)


def start(path: str, name: str = "", **metadata: Any) -> RunEvent:
    told = {"node": path, "round": 1, "visit": 0, "retry": 0, "model": None, "messages": []}
    told |= metadata
    named = f"{path}:{told['visit']}:{told['retry']}"
    return event("TEXT_MESSAGE_START", messageId=named, name=name or path, metadata=told)


def piece(path: str, text: str) -> RunEvent:
    return event("TEXT_MESSAGE_CONTENT", messageId=f"{path}:0:0", delta=text, reasoning=False)


def end(path: str, text: str = "") -> RunEvent:
    turn = Turn(node_id=path, path=path, role=path, status="ok", text=text, started_at=NOW)
    return event("TEXT_MESSAGE_END", messageId=f"{path}:0:0", turn=turn.model_dump(mode="json"))


def counted(path: str, visit: int = 0) -> RunEvent:
    tally = {"method": "plurality", "winner": "42", "scores": {"42": 1.0}, "valid": 1}
    step = {"path": path, "visit": visit, "retry": 0, "vote": {"kind": "number", "tally": tally}}
    return event("STEP_FINISHED", stepName=path, step=step)


def shown(*events: RunEvent) -> str:
    """What the view has written once these have happened."""
    written = io.StringIO()
    view = LiveView(verbose=False, console=plain_console(file=written, stderr=False, width=200))
    for happened in events:
        view(happened)
    return written.getvalue()


def test_a_turn_is_headed_by_its_role_and_model():
    assert "━━ 1 · creator · fake\n" in shown(begun("creator"), start("creator"))


@pytest.mark.parametrize(
    ("metadata", "heading"),
    [
        ({"round": 2, "visit": 1}, "━━ 1 · critic · round 2 · fake"),
        ({"retry": 1}, "━━ 1 · critic · retry 1 · fake"),
        ({"round": 3, "visit": 2, "retry": 2}, "━━ 1 · critic · round 3 · retry 2 · fake"),
        ({"model": "other"}, "━━ 1 · critic · other"),
    ],
)
def test_the_head_says_which_round_and_which_retry_it_is(metadata: dict[str, Any], heading: str):
    assert heading + "\n" in shown(begun("critic"), start("critic", **metadata))


def test_a_turn_within_an_inner_flow_is_told_apart():
    out = shown(begun("debate.creator"), start("debate.creator", "creator"))
    assert "━━ 1 · debate.creator · fake\n" in out


def test_draws_of_one_role_are_told_apart():
    out = shown(begun("solver"), start("solver[2]", "solver", node="solver"))
    assert "━━ 1 · solver[2] · fake\n" in out


def test_a_count_is_shown_behind_the_turns_that_it_counts():
    out = shown(begun("a"), start("a"), piece("a", "A"), end("a"), counted("vote"))
    assert out.index("A\n") < out.index("\n⚖ vote · blind · plurality: 42 won with 1 of 1 vote\n")


def test_a_count_waits_for_the_turns_that_began_before_it_and_later_ones_for_the_count():
    out = shown(
        begun("a", "b", "c"),
        start("a"),
        start("b"),
        piece("a", "A1 "),
        end("b", "B1"),
        counted("vote"),
        start("c"),
        piece("c", "C1"),
        piece("a", "A2"),
        end("a"),
    )
    places = [out.index(text) for text in ("A1 A2", "B1", "⚖ vote", "C1")]
    assert places == sorted(places)


def test_a_count_of_a_later_pass_is_another_one():
    out = shown(begun("a"), start("a"), counted("vote", 0), counted("vote", 1), end("a", "A"))
    assert out.count("⚖ vote") == 2
    assert out.index("A\n") < out.index("⚖ vote")


def test_a_run_that_stops_shows_the_counts_that_waited():
    stopped = event("RUN_ERROR", code="cancelled", message="", result={})
    assert "⚖ vote" in shown(begun("a"), start("a"), piece("a", "A"), counted("vote"), stopped)


def test_one_who_is_not_in_the_cast_is_shown_all_the_same():
    assert "━━ 1 · stranger" in shown(begun(), start("stranger"))


def test_turns_at_the_same_time_are_shown_one_after_the_other():
    out = shown(
        begun("a", "b", "c"),
        start("a"),
        start("b"),
        start("c"),
        piece("b", "B1 "),
        piece("a", "A1 "),
        piece("c", "C1 "),
        piece("b", "B2"),
        end("b"),
        piece("a", "A2"),
        end("a"),
        piece("c", "C2"),
        end("c"),
    )
    assert [line for line in out.splitlines() if line[:1] in "ABC━"[:4] and line] == [
        "━━ 1 · a · fake",
        "A1 A2",
        "━━ 2 · b · fake",
        "B1 B2",
        "━━ 3 · c · fake",
        "C1 C2",
    ]


def test_the_next_turn_streams_as_soon_as_the_one_before_it_has_ended():
    so_far = [begun("a", "b"), start("a"), start("b"), piece("b", "B1 "), piece("a", "A")]
    assert "B1" not in shown(*so_far)
    assert shown(*so_far, end("a")).endswith("━━ 2 · b · fake\nB1 ")
    assert shown(*so_far, end("a"), piece("b", "B2")).endswith("B1 B2")


def test_what_broke_off_before_anybody_saw_it_is_not_shown():
    out = shown(
        begun("a", "b"), start("a"), start("b"), piece("b", "lost"), start("b"), piece("b", "kept"),
        end("b"), end("a"),
    )  # fmt: skip
    assert "lost" not in out
    assert "broke off" not in out
    assert out.count("kept") == 1


def test_what_broke_off_before_our_eyes_is_said_to_begin_anew():
    out = shown(begun("a"), start("a"), piece("a", "half"), start("a"), piece("a", "whole"))
    assert out.index("half") < out.index("↻ broke off; it begins anew") < out.index("whole")
    assert out.count("━━") == 1


def test_what_is_decided_between_turns_holds_none_of_them_up():
    decided = event("ACTIVITY_SNAPSHOT", messageId="run:decision:1", activityType="lab.decision")
    assert shown(begun("a"), decided, start("a"), piece("a", "A")).endswith("━━ 1 · a · fake\nA")


def test_a_turn_whose_pieces_nobody_saw_is_shown_whole():
    out = shown(begun("a", "b"), start("a"), end("a", "from the log"), start("b"), piece("b", "B"))
    assert "━━ 1 · a · fake\nfrom the log\n" in out
    assert shown(begun("a"), start("a"), piece("a", "A"), end("a", "A")).count("A") == 1


def test_a_run_that_is_gone_on_with_counts_its_turns_on():
    written = io.StringIO()
    view = LiveView(verbose=False, console=plain_console(file=written, stderr=False))
    view.count_from(2)
    view(begun("a"))
    view(start("a"))
    assert "━━ 3 · a · fake" in written.getvalue()


def test_a_run_that_stops_shows_how_far_its_turns_came():
    stopped = event("RUN_ERROR", code="cancelled", message="", result={})
    out = shown(begun("a", "b"), start("a"), start("b"), piece("b", "B"), piece("a", "A"), stopped)
    assert out.index("A") < out.index("B")
    assert out.endswith("\n")


def test_the_last_turn_that_was_shown_is_known():
    view = LiveView(verbose=False, console=Console(file=io.StringIO()))
    for happened in (begun("a", "b"), start("a"), start("b"), piece("b", "B"), piece("a", "A")):
        view(happened)
    assert view.has_shown("A")
    view(end("a"))
    assert view.has_shown("B")
    assert not view.has_shown("A")
    view(end("b"))
    view(counted("vote"))
    assert not view.has_shown("B")  # the count stands between


@pytest.mark.parametrize(
    ("reason", "line"),
    [("completed", "It ran.\n"), ("max_rounds", "It ran. Stopped: max_rounds.\n")],
)
def test_the_summary_says_what_ended_the_run(reason: str, line: str):
    written = io.StringIO()
    record = RunRecord(
        id="x", flow="f", flow_version="", status="completed", created_at=NOW, input="Why?",
        lang="en", seed=1, summary="It ran.", stop_reason=reason,
    )  # fmt: skip
    view = LiveView(verbose=False, console=plain_console(file=written, stderr=False))
    view.summary(record, Path("nowhere"))
    assert written.getvalue() == line


def interleaved(turns: dict[str, list[RunEvent]], seed: int) -> Iterator[RunEvent]:
    """The events of some turns in any order that keeps each turn's own."""
    left = {name: list(events) for name, events in turns.items()}
    choose = random.Random(seed)  # noqa: S311 - which order is of no secret
    while left:
        name = choose.choice(sorted(left))
        yield left[name].pop(0)
        if not left[name]:
            del left[name]


def test_the_summary_says_what_the_run_is_compared_with():
    written = io.StringIO()
    record = RunRecord(
        id="x", flow="f", flow_version="", status="completed", created_at=NOW, input="Why?",
        lang="en", seed=1, summary="It ran.", stop_reason="completed",
        baseline={"flow": "self_consistency", "model": "fake", "error": "It is gone."},
    )  # fmt: skip
    view = LiveView(verbose=False, console=plain_console(file=written, stderr=False))
    view.summary(record, Path("nowhere"))
    line = "\nbaseline · self_consistency on fake · failed: It is gone.\n"
    assert written.getvalue() == line + "It ran.\n"


@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=5), seed=st.integers())
def test_every_event_comes_out_once_and_no_turn_within_another(lengths: list[int], seed: int):
    turns = {
        f"t{i}": [start(f"t{i}"), *[piece(f"t{i}", str(n)) for n in range(length)], end(f"t{i}")]
        for i, length in enumerate(lengths)
    }
    happened = list(interleaved(turns, seed))
    in_order = OneAtATime()
    out = [due for one in happened for due in in_order(one)]
    began = [e.payload["messageId"] for e in happened if e.type == "TEXT_MESSAGE_START"]
    assert out == [due for turn in began for due in turns[turn.partition(":")[0]]]


def test_experts_at_the_same_time_are_read_one_after_the_other(
    agent_lab: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    roles = ("security_expert", "performance_expert", "ux_expert", "synthesizer")
    answers = "".join(f'{role} = "{" ".join([role] * 5)}"\n' for role in roles)
    (tmp_path / "models.toml").write_text(
        '[models.fake]\nprovider = "scripted"\ncontext_window = 4096\n'
        f"[models.fake.options]\ndelay_s = 0.001\n[models.fake.options.answers]\n{answers}",
        "utf-8",
    )
    monkeypatch.setenv("AGENT_LAB_MODELS_FILE", str(tmp_path / "models.toml"))
    monkeypatch.setenv("AGENT_LAB_DEFAULT_MODEL", "fake")
    ran = agent_lab("run", "multi_perspective", "Why?", "--stream")
    assert ran.code == 0
    for role in roles:
        assert f" · {role} · fake\n{' '.join([role] * 5)}\n" in ran.err
    assert [line[:4] for line in ran.err.splitlines() if "━━" in line] == [
        "━━ 1",
        "━━ 2",
        "━━ 3",
        "━━ 4",
    ]
