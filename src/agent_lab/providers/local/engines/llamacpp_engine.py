"""llama.cpp in this process, by the `xllamacpp` binding."""

import gc
import logging
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from typing_extensions import override

from agent_lab.contracts import Message
from agent_lab.errors import (
    ContextLengthError,
    MissingDependencyError,
    ProviderRequestError,
    ProviderUnavailableError,
    TruncatedAnswerError,
)
from agent_lab.providers.base import Delta, TokenCounts
from agent_lab.providers.local.engines.base import (
    Engine,
    EngineAnswer,
    engine,
)
from agent_lab.providers.local.engines.bounded_schema import bounded
from agent_lab.providers.local.gguf_header import read_header
from agent_lab.providers.local.gguf_memory import gguf_memory_need
from agent_lab.providers.local.heap import give_large_blocks_back
from agent_lab.providers.local.loading import LoadOptions, MemoryNeed
from agent_lab.providers.openai_wire import ChatAnswer
from agent_lab.providers.registries.model_registry import ModelEntry

logger = logging.getLogger(__name__)

# Small batches: a long prefill can be cancelled between two of them.
PREFILL_BATCH = 128
PROMPT_CACHE_MIB = 256
WINDOW_CHECKPOINTS = 2
"""Kept of each slot where layers forget what is behind their window: a prompt goes on from one."""
QUIET = -1
VERBOSE = 3


@engine("llamacpp")
class LlamaCppEngine(Engine):
    """One GGUF model.

    Args:
        server: The binding's server, already loaded.
        model: The model's registry entry.
    """

    def __init__(self, server: Any, model: ModelEntry) -> None:
        self._server = server
        self._model = model

    @override
    @classmethod
    def memory_need(cls, weights: Path, options: LoadOptions) -> MemoryNeed:
        return gguf_memory_need(
            read_header(weights),
            options,
            prefill_batch=PREFILL_BATCH,
            prompt_cache_mib=PROMPT_CACHE_MIB,
            checkpoints=WINDOW_CHECKPOINTS,
        )

    @override
    @classmethod
    def on_gpu(cls) -> bool:
        devices = _import_binding().get_device_info()
        return any("GPU" in str(device["type"]) for device in devices)

    @override
    @classmethod
    def load(cls, model: ModelEntry, weights: Path, options: LoadOptions) -> Self:
        xllamacpp = _import_binding()
        params = xllamacpp.CommonParams()
        params.model.path = str(weights)
        params.model_alias = {model.key}
        params.n_parallel = options.slots
        params.n_ctx = options.slots * options.context
        # Else the engine shortens the window to what it thinks is free.
        params.fit_params = False
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
        params.n_batch = params.n_ubatch = PREFILL_BATCH
        params.cache_ram_mib = PROMPT_CACHE_MIB
        params.n_ctx_checkpoints = WINDOW_CHECKPOINTS
        if not cls.on_gpu():
            # Mapped, a file lies in memory beside the copy that is laid out for this processor:
            # 1.5 B parameters took 2.05 GB instead of 1.43, for 1 s less of loading.
            params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
        params.verbosity = VERBOSE if logger.isEnabledFor(logging.DEBUG) else QUIET
        # The binding also listens on a random loopback port: nobody else may use it.
        params.api_keys = [secrets.token_hex(32)]
        params.endpoint_slots = params.ui = False
        params.endpoint_metrics = True
        give_large_blocks_back()
        try:
            server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise ProviderUnavailableError(
                f"llama.cpp cannot load `{model.key}` from `{weights}`: {error}.",
                provider="local",
                model=model.key,
                hint="LOG_LEVEL=DEBUG agent-lab run … shows llama.cpp's own reason; a smaller "
                "AGENT_LAB_LOCAL_CONTEXT needs less memory",
            ) from error
        # The binding returns before its loop runs, and a loop that is ended before it has begun
        # never ends: closing would hang. Metrics are what the loop answers at once.
        server.handle_metrics()
        return cls(server, model)

    @override
    def chat(
        self,
        messages: Sequence[Message],
        params: Mapping[str, Any],
        emit: Callable[[Delta], None],
        cancelled: Callable[[], bool],
    ) -> EngineAnswer:
        answer = _Answer(emit, cancelled)
        try:
            # Always streamed: only a streaming call can be cancelled.
            self._server.handle_chat_completions(_body(messages, params), answer.on_chunk)
        except ValueError as error:
            raise self._refused(str(error)) from error
        if answer.failure is not None:
            raise answer.failure
        if answer.error is not None:
            raise self._classified(answer.error)
        if not answer.finish_reason:
            raise TruncatedAnswerError(
                f"`{self._model.key}` stopped without a finish reason.",
                provider="local",
                model=self._model.key,
            )
        return answer.complete()

    @override
    def close(self) -> None:
        self._server = None
        gc.collect()

    def _classified(self, error: Mapping[str, Any]) -> Exception:
        if error.get("type") == "exceed_context_size_error":
            prompt, window = int(error["n_prompt_tokens"]), int(error["n_ctx"])
            return ContextLengthError(
                f"The prompt has {prompt} tokens, but `{self._model.key}` has a window of "
                f"{window} tokens.",
                provider="local",
                model=self._model.key,
                status_code=400,
                hint=self._wider_window(prompt, window),
                details={"prompt_tokens": prompt, "context_window": window},
            )
        return self._refused(str(error.get("message", error)))

    def _wider_window(self, prompt: int, window: int) -> str:
        most = self._model.context_window
        if window < most and prompt < most:
            wider = min(most, 2 * prompt)
            return (
                f"AGENT_LAB_LOCAL_CONTEXT={wider} agent-lab run … (at most {most} for this model)"
            )
        return "agent-lab models list shows models with a larger window; or shorten the prompt"

    def _refused(self, reason: str) -> ProviderRequestError:
        return ProviderRequestError(
            f"llama.cpp refused the request to `{self._model.key}`: {reason}",
            provider="local",
            model=self._model.key,
            status_code=400,
        )


class _Answer:
    """Gathers the chunks of one answer; called in the engine's thread."""

    def __init__(self, emit: Callable[[Delta], None], cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled
        self._answer = ChatAnswer(emit)
        self._timings: Mapping[str, Any] = {}
        self.error: Mapping[str, Any] | None = None
        self.failure: BaseException | None = None

    @property
    def finish_reason(self) -> str:
        """Why the model stopped; empty: it has not."""
        return self._answer.finish_reason

    def on_chunk(self, chunk: Mapping[str, Any]) -> bool:
        """Take one chunk; True tells llama.cpp to stop."""
        try:
            return self._take(chunk)
        except BaseException as failure:  # noqa: BLE001 - the binding would swallow it
            self.failure = failure
            return True

    def _take(self, chunk: Mapping[str, Any]) -> bool:
        if "error" in chunk:
            self.error = chunk["error"]
            return True
        self._timings = chunk.get("timings") or self._timings
        self._answer.take_chunk(chunk)
        return self._cancelled()

    def complete(self) -> EngineAnswer:
        """The answer, once the last chunk came."""
        answer = self._answer
        answer.end()
        return EngineAnswer(
            text=answer.text,
            reasoning=answer.reasoning,
            finish_reason=answer.finish_reason,
            tokens=answer.tokens or TokenCounts(),
            prefill=_seconds(self._timings.get("prompt_ms")),
            decode=_seconds(self._timings.get("predicted_ms")),
        )


def _body(messages: Sequence[Message], params: Mapping[str, Any]) -> dict[str, Any]:
    """The request in the binding's form, which is OpenAI's with llama.cpp's additions."""
    sent = dict(params)
    schema = sent.pop("response_schema", None)
    if schema is not None:
        schema = bounded(schema, params["max_tokens"])
        sent["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
    return {
        "messages": [message.model_dump() for message in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        # Progress chunks are what makes a long prefill cancellable.
        "return_progress": True,
        **sent,
    }


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _import_binding() -> Any:
    # OpenMP threads that spin on and on while they wait, the default, starve each other on busy
    # cores: five times slower. Those that never spin lose up to half of their speed on idle ones.
    # docs/local-models.md has the figures. Read once, at the first import.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingDependencyError(
            "Local models need the package `xllamacpp`, which is not installed.",
            hint="pip install 'ai-agent-lab-v3[llamacpp]'",
        ) from error
    return xllamacpp
