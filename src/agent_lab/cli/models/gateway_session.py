"""A gateway for as long as one command takes; it loads nothing."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from agent_lab.config import Settings
    from agent_lab.providers.provider_gateway import ProviderGateway

Result = TypeVar("Result")


def with_gateway(
    settings: "Settings", work: "Callable[[ProviderGateway], Awaitable[Result]]"
) -> Result:
    """Build a gateway, do some work with it, and close it."""
    import asyncio

    from agent_lab.providers.provider_gateway import ProviderGateway

    async def session() -> Result:
        gateway = ProviderGateway.from_settings(settings)
        try:
            return await work(gateway)
        finally:
            await gateway.aclose()

    return asyncio.run(session())
