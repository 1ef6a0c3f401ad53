"""What every provider must do, as checks that anybody can run on one of their own.

A script needs the provider, one of its models, and a loop:

    import asyncio

    from agent_lab.providers.conformance import CHECKS, Subject, check_provider

    SUBJECT = Subject(MyProvider, MY_MODEL)
    print(asyncio.run(check_provider(SUBJECT)))

In pytest (with `asyncio_mode = "auto"`; what is not applicable is skipped, `-rs` tells why):

    @pytest.mark.parametrize("name", CHECKS)
    async def test_my_provider(name):
        await CHECKS[name](SUBJECT)

`make` is called in a running event loop, once for each check, and what it makes is closed at the
end. A run asks for some fifty answers of a few tokens each. What cannot be seen from outside (how
the host fails, a prompt that is too long, a model that thinks) is staged by the other fields of
`Subject`; a check without its stage is not applicable, and the report says what would stage it.
"""

from agent_lab.providers.conformance.report import CHECKS, Report, check_provider
from agent_lab.providers.conformance.subject import Make, Subject
from agent_lab.providers.conformance.verdicts import (
    Check,
    NonConformanceError,
    NotApplicableError,
)

__all__ = [
    "CHECKS",
    "Check",
    "Make",
    "NonConformanceError",
    "NotApplicableError",
    "Report",
    "Subject",
    "check_provider",
]
