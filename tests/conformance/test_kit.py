"""The kit as a third party meets it: what it needs, what it says, what it leaves as it was."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from typing_extensions import override

from agent_lab.errors import ConfigurationError
from agent_lab.providers import conformance
from agent_lab.providers.base import Delta, Emit, ProviderAnswer, ProviderCall
from agent_lab.providers.conformance import (
    CHECKS,
    NonConformanceError,
    NotApplicableError,
    Subject,
    check_provider,
)
from tests.conformance import planted
from tests.conformance.planted import MODEL, Honest, Host, StaysLocked, subject
from tests.conftest import REPOSITORY

SCRIPT, TESTS = (
    dedent(block)
    for block in re.findall(r"(?:^    .*\n|\n(?=    ))+", conformance.__doc__ or "", re.M)
)
NAMES = """\
import pytest

from tests.conformance.planted import MODEL as MY_MODEL, Honest, Host
MyProvider = lambda: Honest(Host())
"""


def minimal() -> Subject:
    return Subject(lambda: Honest(Host()), MODEL)


def test_the_script_of_the_documentation_prints_a_report(capsys: pytest.CaptureFixture[str]):
    exec(NAMES + SCRIPT, {})  # noqa: S102 - our own documentation
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CHECKS)
    assert "passed          the_deltas_join_to_the_text" in lines
    assert re.fullmatch(r"\d\d passed, \d\d not applicable, 0 failed", last)


def test_the_tests_of_the_documentation_pass(tmp_path: Path):
    code = NAMES + SCRIPT.replace("print(", "(lambda _: None)(lambda: ") + TESTS
    (tmp_path / "test_mine.py").write_text(code, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"^\d\d passed, \d\d skipped in", ran.stdout, re.M), ran.stdout + ran.stderr


def test_the_kit_needs_no_test_runner_and_no_http_client():
    program = "import agent_lab.providers.conformance, json, sys; print(json.dumps([*sys.modules]))"
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert {"pytest", "aiohttp", "langgraph"} & set(json.loads(printed)) == set()


def test_every_check_states_its_rule_in_a_sentence():
    for name, check in CHECKS.items():
        assert re.fullmatch(r"[A-Z`].*\.", check.__doc__ or ""), name


async def test_a_subject_of_two_fields_conforms_and_is_told_what_more_could_be_checked():
    report = await check_provider(minimal())
    assert report.conforms
    stages = set(re.findall(r"`(\w+)`", " ".join(report.not_applicable.values())))
    assert {"thinking", "empty", "failing", "unready", "asked", "long_prompt"} <= stages


async def test_a_provider_that_does_not_stream_and_does_not_count_conforms():
    class AtOnce(Honest):
        @override
        async def generate(self, call: ProviderCall, emit: Emit) -> ProviderAnswer:
            answer = await super().generate(call, lambda _: None)
            if answer.reasoning:
                emit(Delta(answer.reasoning, reasoning=True))
            emit(Delta(answer.text))
            return answer._replace(tokens=None)

    report = await check_provider(subject(AtOnce)._replace(streams=False))
    assert report.failed == {}
    assert set(report.not_applicable) == {
        "a_streamed_answer_comes_in_pieces",
        "tokens_are_counted_or_none",
    }


async def test_a_failure_says_the_rule_what_was_expected_and_what_came():
    report = await check_provider(subject(planted.FinishesInItsHostsWords))
    assert not report.conforms
    assert report.failed["the_finish_reason_is_one_of_ours"] == (
        "`finish_reason` is `stop`, or `length` where `max_tokens` or the window cut the answer. "
        "Expected: `stop` or `length`. Came: 'end_turn'."
    )
    assert "FAILED          the_finish_reason_is_one_of_ours: `finish_reason` is" in str(report)


async def test_an_error_that_nobody_expects_is_the_providers_fault():
    with pytest.raises(NonConformanceError, match=r"Came: ConnectionError \(nobody is there\)"):
        await CHECKS["served_models_are_names_or_none"](subject(planted.CannotBeAskedForItsModels))
    unmade = minimal()._replace(make=lambda: Honest(Host(), nonsense=1))  # type: ignore[call-arg]
    with pytest.raises(NonConformanceError, match=r"Expected: an answer. Came: TypeError"):
        await CHECKS["the_deltas_join_to_the_text"](unmade)


async def test_a_provider_that_cancels_itself_does_not_cancel_the_check():
    class CancelsItself(Honest):
        @override
        async def show(self, deltas: list[Delta], emit: Emit) -> None:
            raise asyncio.CancelledError

    with pytest.raises(NonConformanceError, match="nobody cancelled"):
        await CHECKS["the_deltas_join_to_the_text"](subject(CancelsItself))


async def test_a_call_that_hangs_is_found_and_ended():
    report = await check_provider(subject(StaysLocked, patience_s=0.2))
    assert set(report.failed) == {
        "a_cancelled_call_leaves_no_work_behind",
        "a_cancelled_call_leaves_the_provider_usable",
        "cancelling_one_call_leaves_the_others_alone",
        "an_interrupt_is_not_swallowed",
    }
    assert all("an end within 0.2 s" in message for message in report.failed.values())


async def test_what_a_subject_is_exempt_from_is_reported_with_the_reason():
    exempt = {"the_finish_reason_is_one_of_ours": "the host's words are shown to experts"}
    report = await check_provider(subject(planted.FinishesInItsHostsWords)._replace(exempt=exempt))
    assert report.not_applicable == exempt
    with pytest.raises(NotApplicableError, match="shown to experts"):
        await CHECKS["the_finish_reason_is_one_of_ours"](minimal()._replace(exempt=exempt))


async def test_an_exemption_from_a_check_that_there_is_not_is_refused():
    with pytest.raises(ConfigurationError, match="`the_finish_raeson_is_ours`"):
        await check_provider(minimal()._replace(exempt={"the_finish_raeson_is_ours": "typo"}))


@pytest.mark.parametrize("faulty", [Honest, planted.LeavesATaskBehind, planted.GoesOnWhenCancelled])
async def test_the_kit_leaves_the_event_loop_as_it_was(faulty: type[Honest]):
    await check_provider(subject(faulty)._replace(patience_s=0.5))
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert asyncio.get_running_loop().get_task_factory() is None
