"""No framework at all: a function that awaits one role after the other."""

from collections.abc import Sequence

from orchestrator_peers.flows import TASK
from orchestrator_peers.measuring import Run
from orchestrator_peers.prompts import Ask, Role


def chain(ask: Ask, roles: Sequence[Role]) -> Run:
    """Roles one after the other."""

    async def run() -> str:
        outputs: dict[str, str] = {}
        for role in roles:
            outputs[role.name] = await ask(role, TASK, outputs)
        return outputs[roles[-1].name]

    return run
