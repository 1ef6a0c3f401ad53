"""The functions that the first lab's users call, and graphs that run without a context."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from agent_lab.contracts import RunRequest
from agent_lab.errors import (
    ConfigurationError,
    InvalidRequestError,
    UnknownFlowError,
    UnknownRoleError,
)
from agent_lab.flows.graph_configs import FlowConfig, NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, failures_of, new_state
from agent_lab.orchestrator.graph_builder import (
    GraphBuilder,
    build_routing_graph,
    get_graph_builder,
)
from agent_lab.orchestrator.node_types import NodeFunction
from agent_lab.orchestrator.routing_agent import (
    arun,
    arun_routing_agent,
    run,
    run_orchestrator,
    run_routing_agent,
)
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.providers.local.scripted_provider import ScriptedProvider
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.conftest import FIXED_SECRET

TASK = "Which database fits a small shop?"
LONG = "long " * 100
OUTPUTS = {"creator": "the draft", "challenger": "the critique", "refiner": "the final answer"}
CAMEL_CASE = {
    "flowType",
    "totalTime",
    "totalTimeSec",
    "tokensGenerated",
    "modelsUsed",
    "cacheHit",
    "modelWarmRate",
    "loadTime",
    "inferenceTime",
    "workersExecuted",
    "retries",
    "qualityScore",
}


@pytest.fixture
def gateway(scripted: ScriptedProvider) -> ProviderGateway:
    return ProviderGateway.scripted(scripted, ("first", "second", "third"))


@pytest.fixture
def shared_builder() -> Iterator[GraphBuilder]:
    """The program's own builder, which no other test shares."""
    get_graph_builder.cache_clear()
    yield get_graph_builder()
    get_graph_builder.cache_clear()


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment whose default model answers from a script."""
    path = tmp_path / "models.toml"
    path.write_text(
        '[models.actor]\nprovider = "scripted"\ncontext_window = 4096\n'
        'options.answers.default = "from the environment"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("AGENT_LAB_MODELS_FILE", str(path))
    monkeypatch.setenv("AGENT_LAB_DEFAULT_MODEL", "actor")


def begin(text: str = TASK, request_id: str = "a run") -> AgentState:
    return new_state(
        request_id=request_id, flow_type="challenge", user_input=text, lang="en", head=text
    )


def test_the_first_labs_keyword_call_answers(gateway: ProviderGateway):
    answer = run_routing_agent(
        user_input=TASK, gateway=gateway, flow_type="challenge", verbose=False
    )
    assert answer["success"] is True
    assert answer["output"] == "the final answer"
    assert [node["output"] for node in answer["flow"]["nodes"]] == list(OUTPUTS.values())


def test_the_first_labs_positional_call_answers(gateway: ProviderGateway):
    answer = run_routing_agent(TASK, gateway, "challenge", True)
    assert answer["output"] == "the final answer"
    assert "prompt" in answer["flow"]["nodes"][0]


def test_the_callers_options_reach_every_call(gateway: ProviderGateway, scripted: ScriptedProvider):
    run_routing_agent(
        TASK,
        gateway,
        model="second",
        models={"refiner": "third"},
        strategy="creative",
        temperature=0.0,
        max_tokens=7,
        seed=11,
        lang="es",
        attachments=[{"name": "notes.md", "text": "the notes"}],
    )
    assert [call.model.key for call in scripted.calls] == ["second", "second", "third"]
    for call in scripted.calls:
        asked = {name: call.params[name] for name in ("temperature", "max_tokens", "seed", "top_k")}
        assert asked == {"temperature": 0.0, "max_tokens": 7, "seed": 11, "top_k": 80}
        assert call.messages[-1].content.startswith(f"# Tarea\n\n{TASK}\n\n# Adjunto: notes.md\n\n")


def test_nothing_is_saved_and_the_callers_gateway_stays_open(scripted: ScriptedProvider):
    class Closing(ScriptedProvider):
        closed = False

        @override
        async def aclose(self) -> None:
            self.closed = True

    provider = Closing(lambda call: "ok")
    gateway = ProviderGateway.scripted(provider)
    run_routing_agent(TASK, gateway)
    run_routing_agent(TASK, gateway)
    assert not provider.closed
    assert list(Path().rglob("*")) == []


@pytest.mark.usefixtures("environment")
def test_without_a_gateway_the_environment_decides_who_answers():
    answer = run_routing_agent(TASK)
    assert (answer["output"], answer["model"]) == ("from the environment", "actor")
    assert run({"user_input": TASK})["outputs"]["refiner"] == "from the environment"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"flow_type": "chalenge"}, UnknownFlowError),
        ({"user_input": " \n"}, InvalidRequestError),
        ({"temprature": 0.1}, InvalidRequestError),
        ({"temperature": 9.0}, InvalidRequestError),
        ({"gateway": object()}, ConfigurationError),
        ({"models": {"critic": "second"}}, UnknownRoleError),
    ],
)
def test_a_wrong_call_is_refused_before_anybody_is_asked(
    gateway: ProviderGateway, scripted: ScriptedProvider, arguments, error
):
    with pytest.raises(error):
        run_routing_agent(**{"user_input": TASK, "gateway": gateway, **arguments})
    assert scripted.calls == []


def test_a_failed_run_is_an_answer_without_success_and_with_the_error():
    gateway = ProviderGateway.scripted({"creator": OSError("gone")})
    answer = run_routing_agent(TASK, gateway, verbose=True)
    assert answer["success"] is False
    assert answer["output"] == ""
    assert answer["error"]["code"] == "provider_unavailable"
    assert "gone" in answer["error"]["message"]
    statuses = [node["status"] for node in answer["flow"]["nodes"]]
    assert statuses == ["failed", "skipped", "skipped"]
    assert TASK in answer["flow"]["nodes"][0]["prompt"][-1]["content"]


@pytest.mark.parametrize("verbose", [False, True])
def test_only_a_verbose_answer_has_prompts_and_uncut_outputs(verbose: bool):
    provider = ScriptedProvider(lambda call: LONG + call.role)
    answer = run_routing_agent(TASK, ProviderGateway.scripted(provider), verbose=verbose)
    assert answer["output"] == LONG + "refiner"
    for node, call in zip(answer["flow"]["nodes"], provider.calls, strict=True):
        text = LONG + node["id"]
        sent = [message.model_dump() for message in call.messages]
        assert node["output"] == (text if verbose else text[:200])
        assert node["full_content_length"] == len(text)
        assert node.get("prompt") == (sent if verbose else None)


@pytest.mark.parametrize("key", ["user_input", "input"])
def test_a_state_is_run_to_its_end(gateway: ProviderGateway, key: str):
    final = run({key: TASK}, "challenge", gateway)
    assert final["outputs"] == OUTPUTS
    assert final["user_input"] == TASK
    assert final["flow_type"] == "challenge"
    assert failures_of(final) == {}
    assert set(final) == set(AgentState.__annotations__)


def test_a_final_state_says_what_failed():
    gateway = ProviderGateway.scripted(
        {"creator": "draft", "challenger": OSError("gone"), "refiner": "final"}
    )
    final = run({"user_input": TASK}, gateway=gateway)
    assert final["outputs"] == {"creator": "draft", "refiner": "final"}
    assert [(i, e.code) for i, e in failures_of(final).items()] == [
        ("challenger", "provider_unavailable")
    ]


def test_what_a_state_says_already_is_kept(gateway: ProviderGateway, scripted: ScriptedProvider):
    final = run({"user_input": TASK, "lang": "es", "request_id": "mine"}, gateway=gateway)
    assert (final["lang"], final["request_id"]) == ("es", "mine")
    assert scripted.calls[0].messages[-1].content.startswith(f"# Tarea\n\n{TASK}\n\n")


@pytest.mark.parametrize(
    ("state", "flow_type", "error", "message"),
    [
        (
            {"user_input": TASK, "creator_output": "x"},
            "challenge",
            InvalidRequestError,
            "`creator_output`",
        ),
        ({}, "challenge", InvalidRequestError, "empty"),
        ({"user_input": " "}, "challenge", InvalidRequestError, "empty"),
        ({"user_input": TASK}, "chalenge", UnknownFlowError, "`challenge`"),
        ({"user_input": TASK, "lang": "fr"}, "challenge", InvalidRequestError, "`lang`"),
        ({"user_input": TASK, "outputs": 3}, "challenge", InvalidRequestError, "`outputs`"),
        ({"user_input": 5}, "challenge", InvalidRequestError, "`user_input`"),
    ],
)
def test_a_wrong_state_is_refused_before_anybody_is_asked(
    gateway: ProviderGateway, scripted: ScriptedProvider, state, flow_type, error, message
):
    with pytest.raises(error, match=message):
        run(state, flow_type, gateway)
    assert scripted.calls == []


def test_a_state_of_the_first_lab_may_hold_empty_keys(gateway: ProviderGateway):
    state = {"user_input": "", "input": TASK, "lang": None, "flow_type": "linear"}
    final = run(state, "challenge", gateway)
    assert final["user_input"] == TASK
    assert final["flow_type"] == "challenge"


def test_a_state_is_run_with_the_nodes_of_the_shared_builder(
    gateway: ProviderGateway, shared_builder: GraphBuilder
):
    def parrot(config: NodeConfig, flow: FlowConfig) -> NodeFunction:
        async def repeat(state: AgentState, run: RunContext) -> StateUpdate:
            return {"outputs": {config.id: "polly"}}

        return repeat

    shared_builder.register_node("execution", parrot)
    assert run({"user_input": TASK}, gateway=gateway)["outputs"]["creator"] == "polly"


def test_a_state_is_run_with_the_gateway_of_the_shared_builder(
    gateway: ProviderGateway, shared_builder: GraphBuilder
):
    shared_builder.set_gateway(gateway)
    assert run({"user_input": TASK})["outputs"] == OUTPUTS


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        (run_routing_agent, "await arun_routing_agent"),
        (run_orchestrator, "await arun_routing_agent"),
        (lambda text: run({"user_input": text}), "await arun("),
    ],
    ids=["run_routing_agent", "run_orchestrator", "run"],
)
async def test_inside_a_running_loop_the_async_function_is_named(call, instead: str):
    with pytest.raises(ConfigurationError, match="running event loop") as raised:
        call(TASK)
    assert instead in raised.value.hint


async def test_inside_a_running_loop_the_async_functions_answer(gateway: ProviderGateway):
    answer = await arun_routing_agent(TASK, gateway, "challenge", True)
    assert answer["output"] == "the final answer"
    assert (await arun({"user_input": TASK}, "challenge", gateway))["outputs"] == OUTPUTS


@pytest.mark.parametrize("creator", ["the draft", OSError("gone")])
def test_run_orchestrators_metrics_are_in_camel_case_and_milliseconds(creator):
    gateway = ProviderGateway.scripted({**OUTPUTS, "creator": creator})
    answer = run_orchestrator(TASK, "challenge", gateway)
    metrics = answer["metrics"]
    assert set(metrics) == CAMEL_CASE
    assert metrics["flowType"] == "challenge"
    assert metrics["totalTime"] == metrics["totalTimeSec"] * 1000
    nodes = [node for node in answer["flow"]["nodes"] if node["status"] != "skipped"]
    assert metrics["workersExecuted"] == [node["id"] for node in nodes]
    # Seconds of the nodes and milliseconds of the whole: the order holds in one unit only.
    assert metrics["totalTime"] >= max(node["end_time"] for node in nodes) * 1000


async def test_a_graph_without_a_context_is_answered_by_its_builders_gateway(
    gateway: ProviderGateway, scripted: ScriptedProvider
):
    final = await GraphBuilder(gateway).build_challenge_flow_graph().ainvoke(begin())
    assert final["outputs"] == OUTPUTS
    assert len({call.params["seed"] for call in scripted.calls}) == 1


async def test_the_gateway_can_be_set_after_the_graph_was_built(gateway: ProviderGateway):
    builder = GraphBuilder()
    graph = builder.build_challenge_flow_graph()
    with pytest.raises(ConfigurationError, match="nobody to ask") as raised:
        await graph.ainvoke(begin())
    assert "set_gateway" in raised.value.hint
    builder.set_gateway(gateway)
    assert (await graph.ainvoke(begin()))["outputs"] == OUTPUTS


async def test_a_context_goes_before_the_builders_gateway(
    gateway: ProviderGateway, scripted: ScriptedProvider
):
    own = RunContext(
        gateway=ProviderGateway.scripted(lambda call: "the context's"),
        request=RunRequest(flow="challenge", input=TASK),
        seed=1,
        secret=FIXED_SECRET,
    )
    final = await GraphBuilder(gateway).build_challenge_flow_graph().ainvoke(begin(), context=own)
    assert set(final["outputs"].values()) == {"the context's"}
    assert scripted.calls == []


def test_a_builder_refuses_a_gateway_that_cannot_generate():
    with pytest.raises(ConfigurationError, match="`object` is no gateway"):
        GraphBuilder(object())


@pytest.mark.usefixtures("shared_builder")
def test_the_shared_builder_is_one_and_begins_without_a_gateway():
    assert get_graph_builder() is get_graph_builder()
    assert get_graph_builder().gateway is None


async def test_the_graph_of_a_shipped_flow_is_built_by_name(gateway: ProviderGateway):
    final = await build_routing_graph("challenge", gateway).ainvoke(begin())
    assert final["outputs"] == OUTPUTS
    with pytest.raises(UnknownFlowError, match="`challenge`"):
        build_routing_graph("chalenge")
