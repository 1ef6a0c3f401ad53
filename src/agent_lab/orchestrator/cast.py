"""Who is going to speak in a run, and which model each was meant to be."""

from collections.abc import Iterator

from agent_lab.contracts import RunRequest
from agent_lab.flows.catalogue import Catalogue
from agent_lab.flows.flow_plan import FlowPlan, plan_flow
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.run_context import wished_model


def wishes(
    plan: FlowPlan, request: RunRequest, catalogue: Catalogue
) -> Iterator[tuple[str, str | None]]:
    """Each role with the model key that is wished for it; None: the default model.

    Args:
        plan: The flow.
        request: What the caller wants.
        catalogue: With the types of node, and the flows that nodes run.
    """
    for node in plan.nodes:
        kind = catalogue.kinds.get(node.type)
        options = kind.options_or_none(node.config) if kind else None
        inner = options.subflow() if options else None
        if inner is not None:
            within = plan_flow(catalogue.flows[inner], getattr(options, "inputs", {}))
            for role, key in wishes(within, inner_request(node, request), catalogue):
                yield f"{node.id}.{role}", key
            continue
        if node.is_role and (kind is None or kind.asks == "model"):
            yield node.speaker, wished_model(node, request)
        for judge in options.judges() if options else ():
            asked = node.model_copy(update={"model": judge or node.model})
            yield node.speaker, wished_model(asked, request)


def strategies(plan: FlowPlan, request: RunRequest) -> set[str]:
    """The strategies that a run is going to ask for by name."""
    wanted = {request.strategy} if request.strategy else {node.strategy for node in plan.nodes}
    return {name for name in wanted if name is not None}


def inner_request(node: NodeConfig, request: RunRequest) -> RunRequest:
    """The request as the flow within a node has it: `node.role` names one of its roles.

    The node is that flow's caller: how it is to be asked goes before what the flow says.
    """
    own = f"{node.id}."
    models = {
        role.removeprefix(own): key for role, key in request.models.items() if role.startswith(own)
    }
    wishes_of_node = {
        name: getattr(node, name) if getattr(request, name) is None else getattr(request, name)
        for name in ("strategy", "max_tokens", "temperature")
    }
    return request.model_copy(
        update={"models": models, "model": wished_model(node, request), **wishes_of_node}
    )


def subflows(plan: FlowPlan, catalogue: Catalogue) -> Iterator[str]:
    """The names of all flows that the nodes of a flow run, and those of these.

    Args:
        plan: The flow.
        catalogue: With the types of node, and the flows that nodes run.
    """
    for node in plan.nodes:
        kind = catalogue.kinds.get(node.type)
        options = kind.options_or_none(node.config) if kind else None
        inner = options.subflow() if options else None
        if inner is not None:
            yield inner
            yield from subflows(
                plan_flow(catalogue.flows[inner], getattr(options, "inputs", {})), catalogue
            )
