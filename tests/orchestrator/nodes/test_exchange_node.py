"""Exchanges: who sees what of whom, and which changes of an answer are told with a reason."""

from typing import Any

import pytest

from agent_lab.deliberation.flips import NO_PLACE, NOT_CONFIRMED, NOT_IN_OLD_TEXT, SAYS_NOTHING
from agent_lab.errors import ProviderUnavailableError
from agent_lab.flows.graph_configs import get_flow_config
from agent_lab.orchestrator.agent_state import AgentState, updated
from agent_lab.orchestrator.run_context import Place
from tests.orchestrator.conftest import (
    OPEN,
    Stage,
    fences,
    in_virtual_time,
    planned,
    ran,
    slow,
    speaker,
    staged,
    timed,
    worked,
)
from tests.orchestrator.councils import (
    NUMBER,
    SLOGAN,
    VOTING,
    answering,
    council,
    drafted,
    group,
    said_in,
)


def seen(prompt: str, kind: str = "peer") -> list[str]:
    return [fence.text for fence in fences(prompt) if fence.kind == kind]


async def asked(state: AgentState, member: str = "a", ids: str = "abc", **place: int) -> list[str]:
    """The peers' answers that a member sees."""
    stage = staged(lambda call: answering(42))
    await worked(council(ids), f"{member}_exchange", state, stage, Place(**place))
    return seen(stage.prompt(f"{member}_exchange"))


# ------------------------------------------------------------------ what is seen


async def test_a_member_sees_its_own_answer_as_its_own_and_never_among_the_others():
    stage = staged({"a_exchange": answering(42)})
    await worked(council(), "a_exchange", drafted(a=40, b=41, c=43), stage)
    prompt = stage.prompt("a_exchange")
    assert seen(prompt, "own_output") == [answering(40)]
    assert sorted(seen(prompt)) == [answering(41), answering(43)]


async def test_three_equal_answers_are_seen_once():
    assert await asked(drafted(a=40, b=41, c=41, d=41), ids="abcd") == [answering(41)]


async def test_equal_answers_in_other_words_are_one_too_and_texts_are_not():
    numbers = await asked(drafted(a=40, b="ANSWER: 41", c="My words.\nANSWER: 41.0"))
    assert len(numbers) == 1
    texts = await asked(drafted(SLOGAN, a="Warm.", b="Bread.", c="We bake."))
    assert sorted(texts) == ["Bread.", "We bake."]


async def test_a_peer_with_the_same_answer_is_seen_as_one_among_others():
    assert sorted(await asked(drafted(a=42, b=42, c=41))) == [answering(41), answering(42)]


async def test_of_those_who_failed_nothing_is_seen():
    assert await asked(drafted(a=40, b=None, c=43)) == [answering(43)]


async def test_what_a_peer_said_before_it_failed_is_still_its_answer():
    state = said_in(drafted(a=40, b=41, c=43), "exchange", a=40, b=None, c=44)
    assert sorted(await asked(state, round=2, visit=1)) == [answering(41), answering(44)]


async def test_a_member_that_failed_before_is_shown_the_others_and_no_answer_of_its_own():
    stage = staged({"a_exchange": answering(42)})
    await worked(council(), "a_exchange", drafted(a=None, b=41, c=43), stage)
    assert seen(stage.prompt("a_exchange"), "own_output") == ["(none)"]


async def test_whoever_is_no_member_sees_all_of_them_and_has_no_answer_to_change():
    guest = speaker(
        "guest", "{own_last}\n\n{peers}", type="exchange", config={"answers": ["drafter"]}
    )
    plan = planned(group("drafter"), guest)
    stage = staged({"guest": answering(42)})
    update = await worked(plan, "guest", drafted(a=40, b=41, c=43), stage)
    assert sorted(seen(stage.prompt("guest"))) == [answering(i) for i in (40, 41, 43)]
    assert seen(stage.prompt("guest"), "own_output") == ["(none)"]
    assert update["flips"] == ()


async def test_nobody_exchanges_answers_with_nobody():
    stage = staged({})
    update = await worked(council(), "a_exchange", drafted(a=40, b=None, c=None), stage)
    failure = update["failures"]["a_exchange"]
    assert failure is not None
    assert failure.code == "not_asked"
    assert stage.turns == []


async def test_later_rounds_show_the_last_answers_alone():
    state = said_in(drafted(a=40, b=41, c=43), "exchange", a=40, b=45, c=46)
    assert sorted(await asked(state, round=2, visit=1)) == [answering(45), answering(46)]


async def test_all_members_of_a_round_see_the_round_before():
    said = {
        "debater_a": [answering(40), answering(50)],
        "debater_b": [answering(41), answering(51)],
        "debater_c": [answering(42), answering(52)],
    }
    stage = staged(said, request={"input": NUMBER})
    await ran(get_flow_config("debate"), stage)
    for i in "abc":
        shown = "".join(seen(stage.prompt(f"{i}_exchange")))
        assert "ANSWER: 4" in shown
        assert "ANSWER: 5" not in shown


# ------------------------------------------------------------------ the firewall

SIGN = "SIGN"


def signed(call: Any) -> Any:
    """Each draft carries the sign of whoever wrote it; it takes as long as it is late."""
    schema = call.params.get("response_schema") or {"properties": {}}
    if "ranking" in schema["properties"]:
        return "RANKING: A > B"
    if "preference" in schema["properties"]:
        return "PREFERENCE: A"
    last = call.role[-1]
    return slow(f"{SIGN}-{call.role}", {"a": 1.0, "b": 2.0, "c": 3.0}.get(last, 0.5))


@pytest.mark.parametrize("failing", ["", "c"])
@pytest.mark.parametrize("name", VOTING)
def test_no_draft_sees_anybody_and_nothing_is_asked_before_all_drafts_are_there(
    name: str, failing: str
):
    def answer(call: Any) -> Any:
        if failing and call.role.endswith(f"_{failing}"):
            return slow("", 9.0)._replace(error=ProviderUnavailableError("gone"))
        return signed(call)

    inputs = {"layers": 2} if name == "mixture_of_agents" else {}
    stage = timed(answer, request={"input": SLOGAN, "inputs": inputs})
    in_virtual_time(lambda: ran(get_flow_config(name), stage))
    blind = [t for t in stage.turns if t.visit == 0 and t.node_id.endswith(FIRST[name])]
    after = [t for t in stage.turns if t not in blind]
    assert len(blind) == {"self_consistency": 5}.get(name, 3)
    assert after
    for turn in blind:
        assert SIGN not in "".join(message.content for message in turn.messages)
    ends = [(turn.started_at, turn.seconds) for turn in blind]
    last = max(at.timestamp() + seconds for at, seconds in ends)
    assert min(turn.started_at.timestamp() for turn in after) >= last


FIRST = {
    "self_consistency": "solver",
    "consensus": "drafter",
    "debate": "drafter",
    "mixture_of_agents": "_proposer",
}
"""By flow: what the blind nodes are called."""


# ------------------------------------------------------------------ changes of answers

OLD = "6 x 7 = 41, so there are 41.\nANSWER: 41"
CHANGED = 'CHANGED "6 x 7 = 41": 36 and 6 more are 42'


async def changed(reply: str, old: str = OLD, **config: Any) -> Any:
    """What a member's change is, if it is one."""
    stage = staged({"a_exchange": reply})
    plan = council(exchange=config)
    update = await worked(plan, "a_exchange", drafted(a=old, b=42, c=43), stage)
    flips = update["flips"]
    assert update["values"] == {"a_exchange_flipped": bool(flips)}
    return flips[0] if flips else None


@pytest.mark.parametrize(
    ("reply", "why_not"),
    [
        (f"{CHANGED}\nANSWER: 42", ""),
        ("ANSWER: 42", NO_PLACE),
        ("The others say 42.\nANSWER: 42", NO_PLACE),
        ('CHANGED "6 x 7 = 40": it is 42, as 36 and 6 are\nANSWER: 42', NOT_IN_OLD_TEXT),
        ('CHANGED "6 x 7 = 41": most others answer 42\nANSWER: 42', SAYS_NOTHING),
    ],
)
async def test_a_change_counts_with_words_of_the_own_text_and_what_is_wrong_there(
    reply: str, why_not: str
):
    flip = await changed(reply)
    assert (flip.member, flip.round, flip.from_key, flip.to_key) == ("a", 1, "41", "42")
    assert flip.why_not == why_not
    assert flip.supported is (why_not == "")


async def test_under_the_policy_of_evidence_words_alone_do_not_count():
    flip = await changed(f"{CHANGED}\nANSWER: 42", flip_policy="evidence")
    assert (flip.supported, flip.why_not) == (False, NOT_CONFIRMED)


@pytest.mark.parametrize("reply", ["ANSWER: 41", f"{CHANGED}\nANSWER: 41.0", "I do not know."])
async def test_the_same_answer_or_none_is_no_change(reply: str):
    assert await changed(reply) is None


async def test_an_answer_after_none_that_could_be_read_is_no_change():
    assert await changed("ANSWER: 42", old="I do not know.") is None


async def test_a_change_is_one_from_the_last_answer_that_could_be_read():
    state = said_in(drafted(a=OLD, b=42, c=43), "exchange", a="I do not know.", b=42, c=43)
    stage = staged({"a_exchange": f"{CHANGED}\nANSWER: 42"})
    update = await worked(council(), "a_exchange", state, stage, Place(round=2, visit=1))
    [flip] = update["flips"]
    assert (flip.round, flip.from_key, flip.supported) == (2, "41", True)


async def test_texts_that_are_equal_to_no_other_never_change():
    stage = staged({"a_exchange": "Hot bread."})
    update = await worked(council(), "a_exchange", drafted(SLOGAN, a="Warm.", b="Bread."), stage)
    assert update["flips"] == ()


async def test_an_issue_of_the_ledger_is_a_reason():
    issue = OPEN.model_copy(update={"quote": "6 x 7 = 41", "claim": "36 and 6 more are 42"})
    stage = staged({"a_exchange": "CHANGED because of C1\nANSWER: 42"})
    state = updated(drafted(a=OLD, b=42, c=43), {"issues": (issue,)})
    update = await worked(council(), "a_exchange", state, stage)
    [flip] = update["flips"]
    assert (flip.issue, flip.supported) == ("C1", True)


async def test_a_member_that_fails_changes_nothing():
    stage = staged({"a_exchange": ProviderUnavailableError("gone")})
    update = await worked(council(), "a_exchange", drafted(a=OLD, b=42, c=43), stage)
    failure = update["failures"]["a_exchange"]
    assert failure is not None
    assert failure.code == "provider_unavailable"
    assert "flips" not in update


async def test_flips_of_a_round_are_all_kept_whoever_changes_beside_whom():
    def answer(call: Any) -> str:
        if "# What others answered" not in call.messages[-1].content:
            return OLD.replace("41", {"a": "41", "b": "43"}.get(call.role[-1], "42"))
        quoted = {"a": "41", "b": "43"}.get(call.role[-1], "42")
        return f'CHANGED "6 x 7 = {quoted}": 36 and 6 more are 44\nANSWER: 44'

    stage: Stage = staged(answer, request={"input": NUMBER})
    outcome = await ran(get_flow_config("debate"), stage)
    assert outcome.state is not None
    flips = outcome.state["flips"]
    assert sorted((f.member, f.from_key, f.to_key) for f in flips) == [
        ("debater_a", "41", "44"),
        ("debater_b", "43", "44"),
        ("debater_c", "42", "44"),
    ]
    assert outcome.outputs["winner"] == "44"
