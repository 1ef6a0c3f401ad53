"""Every row of the fault matrix comes to what its table says; and the table misses nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_lab.errors import ProviderUnavailableError
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.faults import matrix
from tests.faults.matrix import ELSEWHERE, ROWS, TABLE, Answers, Call, Outcome, Row, Way
from tests.faults.modes import Mode
from tests.faults.upstream import DEFAULT_TEXT

OK = Row(Mode.OK, "openai")
WHOLE = Way(streamed=False)
ANSWER = matrix.expected(OK, WHOLE)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the gateways find their files."""
    with matrix.prepared(tmp_path):
        yield tmp_path


def problems(calls: list[Call]) -> list[tuple[str, str]]:
    return [problem for call in calls for problem in call.problems]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.mode}-{row.wire}")
async def test_a_row_ends_as_the_table_says(row: Row, folder: Path):
    assert problems(await matrix.make_row(row, folder)) == []


def test_the_table_has_every_mode_once():
    named = [name for names in matrix.SAME.values() for name in names.split()]
    assert len(named) == len(set(named))
    assert set(TABLE) == set(Mode)
    assert {(row.mode, row.wire) for row in ROWS} == {(m, w) for m in Mode for w in matrix.MODELS}


@pytest.mark.parametrize("wire", matrix.MODELS)
@pytest.mark.parametrize("mode", [Mode.CONTENT_FILTER, Mode.PROMPT_FILTERED])
async def test_what_a_host_withholds_is_asked_elsewhere_where_the_strategy_says_so(
    mode: Mode, wire: str, folder: Path
):
    ways = [Way(s, strategy="always_moving", restart=s) for s in (False, True)]
    calls = await matrix.make_row(Row(mode, wire), folder, ways)
    assert problems(calls) == []
    assert {call.outcome.text for call in calls} == {ELSEWHERE}


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (ANSWER, None),
        (Outcome("hang"), "hang"),
        (Outcome("untyped error: KeyError('choices')"), "untyped error"),
        (ANSWER._replace(text=" \n"), "empty success"),
        (ANSWER._replace(requests=2), "unexpected"),
        (Outcome("ProviderError"), "unexpected"),
    ],
)
def test_what_is_wrong_with_an_outcome_has_a_kind(outcome: Outcome, kind: str | None):
    found = matrix.problems_of(outcome, ANSWER)
    assert [k for k, _ in found] == ([] if kind is None else [kind])


def test_what_no_outcome_may_be_stays_wrong_when_the_table_asks_for_it():
    for outcome in (Outcome("hang"), ANSWER._replace(text="")):
        assert matrix.problems_of(outcome, outcome)


async def test_a_call_that_does_not_end_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch):
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(matrix, "ask", never)
    monkeypatch.setattr(matrix, "DEADLINE_S", 0.0)
    monkeypatch.setattr(matrix, "GRACE_S", 0.05)
    (call,) = await matrix.make_row(OK, folder, [WHOLE])
    assert call.problems == (("hang", "hang"),)


async def test_a_task_that_is_left_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch):
    left: list[asyncio.Task[object]] = []

    async def leave(gateway: ProviderGateway, request: object, **_: object) -> object:
        left.append(asyncio.create_task(asyncio.Event().wait()))
        return await gateway.generate({"prompt": "?", "model_key": matrix.MODELS["openai"]})

    monkeypatch.setattr(matrix, "ask", leave)
    monkeypatch.setattr(matrix, "PATIENCE_S", 0.05)
    (call,) = await matrix.make_row(OK, folder, [WHOLE])
    left[0].cancel()
    assert [kind for kind, _ in call.problems] == ["leak"]


async def test_the_run_prints_one_short_table_and_its_totals(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    rows = [Row(mode, wire) for mode in (Mode.OK, Mode.UNAUTHORIZED) for wire in matrix.MODELS]
    monkeypatch.setattr(matrix, "ROWS", rows)
    assert await matrix.run(folder) == 0
    said = capsys.readouterr().out
    assert "unauthorized  both  Auth    Auth    answers" in said
    totals = "hang: 0, empty success: 0, untyped error: 0, leak: 0, unexpected: 0"
    assert f"\n4 rows, 20 calls, {totals}; " in said

    wrong = Answers(DEFAULT_TEXT, after=(ProviderUnavailableError,))
    monkeypatch.setattr(matrix, "TABLE", {**TABLE, Mode.OK: (wrong,) * 4})
    assert await matrix.run(folder) == 1
    said = capsys.readouterr().out
    assert "ok, openai, whole: unexpected: tries ('ok',), not ('provider_unavailable'" in said
    assert "unexpected: 10; " in said
