"""What endpoints are given. All `async`: FastAPI runs a plain dependency in a thread of its own."""

from typing import Annotated

from fastapi import Depends, Request

from agent_lab.api.request_work import RequestWork
from agent_lab.errors import WrongMediaTypeError
from agent_lab.lab import Lab


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


LabDep = Annotated[Lab, Depends(_lab)]
WorkDep = Annotated[RequestWork, Depends(_work)]
RequestId = Annotated[str, Depends(_request_id)]
JsonOnly = Depends(require_json)
