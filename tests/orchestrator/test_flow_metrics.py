"""What a run shows is computed from its record: no time, text or status is invented."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from agent_lab.config import Settings
from agent_lab.contracts import ErrorInfo, RunRecord, RunRequest
from agent_lab.errors import ProviderUnavailableError
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.graph_configs import (
    EdgeConfig,
    FlowConfig,
    LoopConfig,
    NodeConfig,
    get_challenge_flow_config,
    get_flow_config,
)
from agent_lab.orchestrator.flow_metrics import (
    build_api_response,
    build_challenge_flow_nodes,
    build_error_response,
    build_flow_nodes,
    camel_case_metrics,
)
from agent_lab.providers.local.scripted_provider import Script, ScriptedProvider, ScriptedReply
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from agent_lab.providers.registries.strategy_registry import StrategyRegistry
from tests.conftest import service_of

CHALLENGE = plan_flow(get_challenge_flow_config())
CONSENSUS = plan_flow(get_flow_config("consensus"))
APPLES = "How many apples are 6 bags of 7 apples?"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
MODELS = {
    "creator": "first",
    "challenger": "second",
    "refiner": "third",
    "model_b": "second",
    "model_c": "third",
}
REFUSED = {"first": ["top_k"], "second": ["seed"], "third": ["top_k"]}
DEBATE: Mapping[str, str] = {"creator": "the draft", "challenger": "weak", "refiner": "the end"}
GONE = ProviderUnavailableError("`second` is gone.")
LONG = "0123456789" * 30
PREFERS_THE_SECOND = ['{"reason": "", "preference": "B"}', '{"reason": "", "preference": "A"}']


class Clock:
    """Stands still until somebody waits."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


def slow(text: str, seconds_a_word: float) -> ScriptedReply:
    return ScriptedReply(text, delay_s=seconds_a_word)


async def ran(
    settings: Settings, script: Script, flow: FlowConfig = CHALLENGE, **asked: object
) -> RunRecord:
    """Run a flow on three models, each with parameters that it refuses.

    `asked` is what is asked beside the flow, over what all tests ask.
    """
    clock = Clock()
    provider = ScriptedProvider(script, sleep=clock.sleep)
    entries = [
        ModelEntry(
            key=key, provider="scripted", context_window=4096, unsupported_params=tuple(refused)
        )
        for key, refused in REFUSED.items()
    ]
    gateway = ProviderGateway(
        ModelRegistry(entries),
        StrategyRegistry.load(),
        provider=lambda _: provider,
        settings=settings,
        weights=WeightsStore.from_settings(settings),
    )
    shipped = ("self_consistency", "consensus")
    flows = {**{name: get_flow_config(name) for name in shipped}, flow.name: flow}
    runs = service_of(gateway, flows, settings.outputs_dir, now=clock.now)
    models = {role: MODELS.get(role, "first") for role in flow.roles()}
    request = {"flow": flow.name, "input": "hello", "models": models, **asked}
    return await runs.run(RunRequest.model_validate(request))


async def test_the_times_of_nodes_are_offsets_from_the_start_of_the_run(settings: Settings):
    script = {
        "creator": slow("two words", 1.5),
        "challenger": slow("one", 2),
        "refiner": slow("and three words", 1),
    }
    record = await ran(settings, script)
    nodes = build_challenge_flow_nodes(record)
    assert [(node["start_time"], node["end_time"]) for node in nodes] == [(0, 3), (3, 5), (5, 8)]
    starts = [START, START + timedelta(seconds=3), START + timedelta(seconds=5)]
    assert [node["timestamp"] for node in nodes] == [start.isoformat() for start in starts]


async def test_the_figures_of_the_whole_are_the_sums_of_the_turns(settings: Settings):
    script = {
        "creator": slow("two words", 1.5),
        "challenger": slow("one", 2),
        "refiner": slow("and three words", 1),
    }
    record = await ran(settings, script)
    answer = build_api_response(record, CHALLENGE)
    metrics = answer["metrics"]
    assert metrics["total_time"] == metrics["total_time_sec"] == 8
    assert sum(turn.seconds for turn in record.turns) == 8
    for name in ("load_time", "inference_time"):
        assert metrics[name] == sum(getattr(turn.timings, name) for turn in record.turns)
    assert metrics["tokens_generated"] == answer["usage"]["completion_tokens"] == 2 + 1 + 3
    assert metrics["models_used"] == ["first", "second", "third"]
    assert metrics["workers_executed"] == ["creator", "challenger", "refiner"]


async def test_a_finished_run_is_answered_under_the_first_labs_names(settings: Settings):
    record = await ran(settings, DEBATE)
    answer = build_api_response(record, CHALLENGE)
    assert answer["id"] == record.id
    assert answer["timestamp"] == START.isoformat()
    assert (answer["success"], answer["status"]) == (True, "completed")
    assert answer["output"] == "the end"
    assert answer["degraded"] == []
    assert answer["flow"]["name"] == "challenge"
    assert answer["flow"]["nodes"] == build_flow_nodes(record, CHALLENGE)
    assert answer["flow"]["edges"] == [
        {"source": "creator", "target": "challenger"},
        {"source": "challenger", "target": "refiner"},
    ]


@pytest.mark.parametrize("verbose", [False, True])
async def test_outputs_are_cut_at_200_characters_unless_the_answer_is_verbose(
    settings: Settings, verbose: bool
):
    record = await ran(settings, {"creator": LONG, "challenger": LONG[:200], "refiner": "short"})
    nodes = build_challenge_flow_nodes(record, verbose=verbose)
    shown = [len(node["output"]) for node in nodes]
    assert shown == ([300, 200, 5] if verbose else [200, 200, 5])
    assert [node["full_content_length"] for node in nodes] == [300, 200, 5]
    assert LONG.startswith(nodes[0]["output"])
    for node, turn in zip(nodes, record.turns, strict=True):
        prompt = [message.model_dump() for message in turn.messages]
        assert node.get("prompt") == (prompt if verbose else None)


async def test_a_failed_node_has_its_error_and_the_nodes_after_it_their_answers(
    settings: Settings,
):
    record = await ran(settings, {**DEBATE, "challenger": GONE})
    nodes = build_challenge_flow_nodes(record)
    shown = [(node["status"], node["output"], node["error"]) for node in nodes]
    assert shown == [
        ("completed", "the draft", None),
        ("failed", "", "`second` is gone."),
        ("completed", "the end", None),
    ]


async def test_nodes_that_nobody_asked_are_skipped_and_have_no_times(settings: Settings):
    record = await ran(settings, {**DEBATE, "creator": GONE})
    first, *others = build_challenge_flow_nodes(record)
    assert first["status"] == "failed"
    for node, config in zip(others, CHALLENGE.nodes[1:], strict=True):
        assert node == {
            "id": config.id,
            "name": config.id.capitalize(),
            "type": config.type,
            "role": config.id,
            "status": "skipped",
            "output": "",
        }


async def test_a_node_with_several_turns_shows_its_last_text_and_all_of_its_time(
    settings: Settings,
):
    flow = FlowConfig(
        name="loop",
        nodes=(NodeConfig(id="a"), NodeConfig(id="b", prompt_template="{a_output}")),
        edges=(EdgeConfig(source="a", target="b"),),
        loops=(LoopConfig(id="rounds", first="a", last="b", max_rounds=2),),
        entry_point="a",
    )
    script = {
        "a": [slow("one", 1), slow("one two", 1)],
        "b": [slow("x", 10), slow("last words here", 10)],
    }
    a, b = build_flow_nodes(await ran(settings, script, flow), plan_flow(flow))
    assert (a["start_time"], a["end_time"]) == (0, 1 + 10 + 2)
    assert (b["start_time"], b["end_time"]) == (1, 1 + 10 + 2 + 30)
    assert (b["output"], b["turns"], b["tokens_generated"]) == ("last words here", 2, 4)
    assert b["timestamp"] == (START + timedelta(seconds=13)).isoformat()


@pytest.mark.parametrize(
    ("script", "author"),
    [
        (DEBATE, "third"),
        ({**DEBATE, "refiner": DEBATE["creator"]}, "third"),
        ({**DEBATE, "refiner": GONE}, "first"),
        ({**DEBATE, "challenger": DEBATE["creator"], "refiner": GONE}, "first"),
        ({**DEBATE, "creator": GONE}, ""),
    ],
    ids=["refiner", "a refiner who agrees", "creator", "an echo of the creator", "nobody"],
)
async def test_the_model_is_the_author_of_the_answer(settings: Settings, script, author: str):
    assert build_api_response(await ran(settings, script), CHALLENGE)["model"] == author


@pytest.mark.parametrize(
    ("script", "author"),
    [
        ({"model_a": "ANSWER: 41", "model_b": "b says 42", "model_c": "c: 42"}, "second"),
        (
            {
                "model_a": "ANSWER: 41",
                "model_b": GONE,
                "model_c": "c: 42",
                "judge": PREFERS_THE_SECOND,
            },
            "third",
        ),
        ({"model_a": GONE, "model_b": GONE, "model_c": "c: 42"}, "third"),
    ],
    ids=["the winner of a vote", "the choice of a judge", "the only draft"],
)
async def test_the_answer_of_a_vote_is_the_text_of_the_member_that_wrote_it(
    settings: Settings, script: Script, author: str
):
    record = await ran(settings, script, CONSENSUS, input=APPLES)
    assert "42" in record.output
    assert build_api_response(record, CONSENSUS)["model"] == author


async def test_a_text_that_won_is_known_without_the_reason_that_stood_before_it(
    settings: Settings,
):
    debate = plan_flow(get_flow_config("debate"))
    wrong, better = "6 × 7 = 41.\nANSWER: 41", "36 and 6 more.\nANSWER: 42"
    reason = 'CHANGED "6 × 7 = 41": 6 × 7 is 42, as 36 and 6 more'
    script: Script = {
        "debater_a": [wrong, f"{reason}\n{better}"],
        "debater_b": ["ANSWER: 42", "So I say.\nANSWER: 42"],
    }
    models = {"debater_a": "second", "debater_b": "third"}
    inputs = {"debaters": ["a", "b"]}
    record = await ran(
        settings, script, debate, input=APPLES, model="first", models=models, inputs=inputs
    )
    assert record.output == better
    assert build_api_response(record, debate)["model"] == "second"


async def test_what_a_baseline_took_is_in_the_figures_but_in_no_node_of_the_flow(
    settings: Settings,
):
    script = {**DEBATE, "solver": "I think so."}
    alone = await ran(settings, DEBATE)
    record = await ran(settings, script, baseline="self_consistency", seed=1)
    answer = build_api_response(record, CHALLENGE)
    plain = build_api_response(alone, CHALLENGE)
    assert answer["baseline"]["usage"]["completion_tokens"] > 0
    took = answer["baseline"]["usage"]["completion_tokens"]
    assert answer["usage"]["completion_tokens"] == plain["usage"]["completion_tokens"] + took
    assert answer["metrics"]["tokens_generated"] == answer["usage"]["completion_tokens"]
    for part in ("workers_executed", "quality_score"):
        assert answer["metrics"][part] == plain["metrics"][part]
    assert [node["tokens_generated"] for node in answer["flow"]["nodes"]] == [
        node["tokens_generated"] for node in plain["flow"]["nodes"]
    ]
    assert (answer["votes"], answer["ballots"]) == ([], [])  # those of the baseline are its own
    assert answer["model"] == "third"
    drawn = len(record.turns) - len(alone.turns)
    assert record.summary.startswith(f"{len(record.turns)} turns in 0.0 s, {drawn} of them the ")
    assert "baseline" not in alone.summary


async def test_votes_and_ballots_are_told_under_the_node_that_counted(settings: Settings):
    script = {"model_a": "ANSWER: 41", "model_b": "ANSWER: 42", "model_c": "ANSWER: 42"}
    inner = FlowConfig(
        name="outer",
        nodes=(NodeConfig(id="inner", type="flow", config={"flow": "consensus"}),),
        entry_point="inner",
    )
    for flow, node in ((CONSENSUS, "vote"), (inner, "inner.vote")):
        record = await ran(settings, script, flow, input=APPLES, model="first", models={})
        answer = build_api_response(record, plan_flow(flow))
        [vote] = answer["votes"]
        assert (vote["node"], vote["tally"]["winner"]) == (node, "42")
        assert [(ballot["node"], ballot["choice"]) for ballot in answer["ballots"]] == [
            (node, "41"),
            (node, "42"),
            (node, "42"),
        ]


async def test_a_parameter_that_any_turn_dropped_is_listed_once(settings: Settings):
    answer = build_api_response(await ran(settings, DEBATE), CHALLENGE)
    assert answer["dropped_params"] == ["seed", "top_k"]


async def test_a_degraded_run_is_a_success_that_says_what_went_wrong(settings: Settings):
    answer = build_api_response(await ran(settings, {**DEBATE, "refiner": GONE}), CHALLENGE)
    assert answer["success"] is True
    assert answer["output"] == "the draft"
    assert answer["degraded"] == [
        "`refiner` failed: `second` is gone.",
        "The answer is the text of `creator`.",
    ]


async def test_a_failed_run_is_an_error_that_shows_how_far_it_came(settings: Settings):
    record = await ran(settings, {**DEBATE, "creator": GONE})
    assert record.error is not None
    answer = build_error_response(record.error, "the request", record, CHALLENGE)
    assert (answer["success"], answer["status"], answer["id"]) == (False, "failed", record.id)
    assert answer["error"] == {
        "code": "provider_unavailable",
        "message": "`second` is gone.",
        "hint": record.error.hint,
        "details": {},
        "request_id": "the request",
    }
    assert answer["flow"]["nodes"] == build_challenge_flow_nodes(record)
    assert answer["metrics"]["workers_executed"] == ["creator"]
    assert answer["timestamp"] == record.created_at.isoformat()


def test_an_error_without_a_run_shows_no_run():
    error = ErrorInfo(code="unknown_flow", message="Unknown flow `x`.", hint="agent-lab flows list")
    answer = build_error_response(error, "the request")
    assert set(answer) == {"success", "id", "timestamp", "error"}
    assert (answer["success"], answer["id"]) == (False, "the request")
    assert answer["error"]["hint"] == "agent-lab flows list"
    assert datetime.fromisoformat(answer["timestamp"]).tzinfo is not None


@pytest.mark.parametrize("creator", ["the draft", GONE], ids=["completed", "failed"])
async def test_every_answer_is_json(settings: Settings, creator):
    record = await ran(settings, {**DEBATE, "creator": creator})
    answer = build_api_response(record, CHALLENGE, verbose=True)
    error = ErrorInfo(code="x", message="y", details={"known": ["a"]})
    failure = build_error_response(error, "the request", record, CHALLENGE, verbose=True)
    for body in (answer, failure):
        assert json.loads(json.dumps(body, allow_nan=False)) == body


async def test_camel_case_metrics_are_the_same_figures_with_times_in_milliseconds(
    settings: Settings,
):
    record = await ran(settings, {**DEBATE, "creator": slow("two words", 1.5)})
    spelt = camel_case_metrics(record.metrics, record.flow)
    assert len(spelt) == len(record.metrics) + 1
    assert spelt["flowType"] == "challenge"
    assert spelt["totalTime"] == 3000
    assert spelt["inferenceTime"] == record.metrics["inference_time"] * 1000
    assert spelt["tokensGenerated"] == record.metrics["tokens_generated"]
    assert spelt["modelWarmRate"] == record.metrics["model_warm_rate"] == 1.0
    assert spelt["qualityScore"] is None
