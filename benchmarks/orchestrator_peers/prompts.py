"""The prompts of the peers: f-strings that give, byte for byte, what our flows send.

The tag of a fence is a digest of its text; the peers know each tag beforehand and do not compute
it. They do not neutralise fences within texts either.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from agent_lab.contracts import GenerationRequest, Message
from agent_lab.deliberation.context import fence
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.flows.prompt_templates import in_language
from agent_lab.providers.provider_gateway import ProviderGateway
from orchestrator_peers.flows import SECRET, SEED, members

Outputs: TypeAlias = Mapping[str, str]
"""What was said so far, by role."""


class Role(NamedTuple):
    """Who speaks, and how it is asked."""

    name: str
    prompt: Callable[[str, Outputs], str]
    """The prompt, from the task and what was said."""
    system: tuple[Message, ...] = ()
    sampling: Mapping[str, Any] = {}


Ask: TypeAlias = Callable[[Role, str, Outputs], Awaitable[str]]


def asking(gateway: ProviderGateway) -> Ask:
    """How a peer asks: through the stream of our gateway, to its end."""

    async def ask(role: Role, task: str, outputs: Outputs) -> str:
        request = GenerationRequest(
            messages=(*role.system, Message(role="user", content=role.prompt(task, outputs))),
            role=role.name,
            seed=SEED,
            **role.sampling,
        )
        text = ""
        async for chunk in gateway.stream(request):
            if chunk.result is not None:
                text = chunk.result.text
        return text

    return ask


def three_roles() -> tuple[Role, ...]:
    """Those of `flows.three_roles`."""

    def creator(task: str, outputs: Outputs) -> str:
        return f"# Task\n\n{task}\n\n# Your role: creator"

    def challenger(task: str, outputs: Outputs) -> str:
        draft = _fenced("creator_output", outputs["creator"])
        return f"# Task\n\n{task}\n\n{draft}\n\n# Your role: challenger"

    def refiner(task: str, outputs: Outputs) -> str:
        draft = _fenced("creator_output", outputs["creator"])
        critique = _fenced("challenger_output", outputs["challenger"])
        return f"# Task\n\n{task}\n\n{draft}\n\n{critique}\n\n# Your role: refiner"

    return Role("creator", creator), Role("challenger", challenger), Role("refiner", refiner)


def challenge(flow: FlowConfig) -> tuple[Role, ...]:
    """Those of the shipped flow in its first round: one issue, nothing settled.

    Args:
        flow: Where the words of the prompts are taken from, once.
    """
    system = (Message(role="system", content=in_language(flow.system_prompt, "en")),)
    words = {role: _own_words(flow, role) for role in ("creator", "challenger", "refiner")}
    words["challenger"] = words["challenger"].replace("{max_issues}", "1")

    def creator(task: str, outputs: Outputs) -> str:
        return f"# Task\n\n{task}\n\n{words['creator']}"

    def challenger(task: str, outputs: Outputs) -> str:
        draft = _fenced("draft", outputs["creator"])
        settled = _fenced("settled_issues", "(none)")
        return (
            f"# Task\n\n{task}\n\n# Draft\n\n{draft}\n\n# Settled issues\n\n{settled}\n\n"
            f"{words['challenger']}"
        )

    def refiner(task: str, outputs: Outputs) -> str:
        draft = _fenced("draft", outputs["creator"])
        issues = _fenced("open_issues", f"C1 {outputs['challenger']}")
        return (
            f"# Task\n\n{task}\n\n# Draft\n\n{draft}\n\n# Open issues\n\n{issues}\n\n"
            f"{words['refiner']}"
        )

    prompts = {"creator": creator, "challenger": challenger, "refiner": refiner}
    return tuple(
        Role(name, prompt, system, _sampling(flow, name)) for name, prompt in prompts.items()
    )


def branches(count: int) -> tuple[tuple[Role, ...], Role]:
    """Those of `flows.fan_out`: the branches, and the one that reads them."""

    def branch(task: str, outputs: Outputs) -> str:
        return f"# Task\n\n{task}\n\n# Your role: branch"

    names = {f"{member}_branch": member for member in members(count)}

    def join(task: str, outputs: Outputs) -> str:
        said = "\n\n".join(
            f"## {member}\n\n{_fenced(f'{name}_output', outputs[name])}"
            for name, member in names.items()
        )
        return f"# Task\n\n{task}\n\n{said}\n\n# Your role: join"

    return tuple(Role(name, branch) for name in names), Role("join", join)


def two_sides() -> tuple[Role, Role]:
    """Those of `flows.loop`."""

    def pro(task: str, outputs: Outputs) -> str:
        other = _fenced("con_output", outputs.get("con", "(con gave no answer.)"))
        return f"# Task\n\n{task}\n\n{other}\n\n# Your role: pro"

    def con(task: str, outputs: Outputs) -> str:
        other = _fenced("pro_output", outputs["pro"])
        return f"# Task\n\n{task}\n\n{other}\n\n# Your role: con"

    return Role("pro", pro), Role("con", con)


def _own_words(flow: FlowConfig, role: str) -> str:
    """What follows the last text of another role in a prompt."""
    _, heading, words = in_language(flow.node(role).prompt_template, "en").partition("# Your role")
    return heading + words


def _sampling(flow: FlowConfig, role: str) -> dict[str, Any]:
    node = flow.node(role)
    return {
        "max_tokens": node.max_tokens,
        "temperature": node.temperature,
        "stop": node.stop,
    }


def _fenced(kind: str, text: str) -> str:
    return f'<{kind} id="{_tag(kind, text)}">\n{text}\n</{kind}>'


@cache
def _tag(kind: str, text: str) -> str:
    return fence(kind, text, SECRET).split('"', 2)[1]
