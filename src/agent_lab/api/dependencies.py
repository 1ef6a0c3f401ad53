"""What endpoints are given. All `async`: FastAPI runs a plain dependency in a thread of its own."""

import re
from typing import Annotated

from fastapi import Depends, Header, Path, Request

from agent_lab.api.request_work import RequestWork
from agent_lab.errors import UnknownRunError, WrongMediaTypeError
from agent_lab.lab import Lab

EXAMPLE_ID = "01K9ZB4Q8T6X3N5V7W2Y1M0R4C"
_RUN_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


async def _lab(request: Request) -> Lab:
    lab: Lab = request.app.state.lab
    return lab


async def _work(request: Request) -> RequestWork:
    work: RequestWork = request.app.state.work
    return work


def request_id_of(request: Request) -> str:
    """The request's id, as the logs name it."""
    name: str = request.state.request_id
    return name


async def _request_id(request: Request) -> str:
    return request_id_of(request)


async def require_json(request: Request) -> None:
    """Refuse a body of another type: a page in a browser can send such a one unasked.

    Raises:
        WrongMediaTypeError: The header `content-type` is not `application/json`.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json":
        raise WrongMediaTypeError(
            f"The body's type is `{given}`; it must be `application/json`.",
            hint='curl -H "Content-Type: application/json" …',
        )


async def _run_id(run_id: Annotated[str, Path(examples=[EXAMPLE_ID])]) -> str:
    """The id of a run in a path; what can be none is not looked for."""
    if not _RUN_ID.fullmatch(run_id):
        raise UnknownRunError(run_id)
    return run_id


LabDep = Annotated[Lab, Depends(_lab)]
WorkDep = Annotated[RequestWork, Depends(_work)]
RequestId = Annotated[str, Depends(_request_id)]
RunId = Annotated[str, Depends(_run_id)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key and body mean the same run, whenever they come: for callers who "
        "do not know whether they have been heard.",
    ),
]
JsonOnly = Depends(require_json)
