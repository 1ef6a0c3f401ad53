"""The application: wiring only."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from agent_lab import __version__
from agent_lab.api import error_handlers
from agent_lab.api.body_limit import BodyLimit
from agent_lab.api.endpoints import (
    cache,
    catalogue,
    inference,
    models,
    orchestrate,
    providers,
    runs,
    system,
)
from agent_lab.api.openapi import describe
from agent_lab.api.request_frame import RequestFrame
from agent_lab.api.request_work import RequestWork
from agent_lab.config import Settings, load_settings
from agent_lab.lab import Lab, build

ROUTERS = (
    inference.router,
    orchestrate.router,
    runs.router,
    catalogue.router,
    models.router,
    providers.router,
    cache.router,
    system.router,
)
DESCRIPTION = """Language models, local and remote, deliberate on a question.

`POST /api/orchestrate` runs a flow of several roles, `POST /api/inference` asks one model.
`POST /api/runs` starts runs that go on without their callers, and can be watched, stopped and
resumed. Every error is `{"error": {code, message, hint, details, request_id}}`; a field that is
not described here is refused, never ignored."""


def create_app(settings: Settings | None = None, *, lab: Lab | None = None) -> FastAPI:
    """Build the application; models are loaded at their first use.

    Args:
        settings: None: from the environment.
        lab: Who does the work; None: one as the settings say. Its models are freed when the
            application ends.

    Raises:
        ConfigurationError: The settings or a registry file are wrong.
        StorageError: The folder of the lab's own data cannot be written.
    """
    settings = settings or load_settings()
    wired = lab or build(settings)
    documented = settings.app_env == "dev"
    # Its pages load nothing from elsewhere: they work offline, and no other host's script runs in
    # a page that may use this API.
    app = FastAPIOffline(
        title="AI Agent Lab",
        version=__version__,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url="/docs" if documented else None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(settings, wired),
    )
    app.state.lab, app.state.work, app.state.methods = wired, RequestWork(), _methods()
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestFrame)
    error_handlers.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = lambda: describe(app, wired)  # type: ignore[method-assign]
    return app


def _methods() -> dict[str, set[str]]:
    """The methods of each path."""
    methods: dict[str, set[str]] = {}
    for route in (route for router in ROUTERS for route in router.routes):
        if isinstance(route, APIRoute):
            methods.setdefault(route.path, set()).update(route.methods or ())
    return methods


def _lifespan(
    settings: Settings, lab: Lab
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with lab:
            await lab.warm(settings.warm_models)
            await lab.runs.take_up()
            yield

    return lifespan
