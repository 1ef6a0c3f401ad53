"""llama.cpp, by the `xllamacpp` binding, each model in a process of its own."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
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
from agent_lab.providers.local.engines.base import Engine, EngineAnswer, engine
from agent_lab.providers.local.engines.bounded_schema import bounded
from agent_lab.providers.local.engines.engine_process import EngineEndedError, EngineProcess
from agent_lab.providers.local.gguf_header import read_header
from agent_lab.providers.local.gguf_memory import gguf_memory_need
from agent_lab.providers.local.loading import LoadOptions, MemoryNeed
from agent_lab.providers.openai_wire import ChatAnswer
from agent_lab.providers.registries.model_registry import ModelEntry

logger = logging.getLogger(__name__)

# Small batches: a long prefill can be cancelled between two of them.
PREFILL_BATCH = 128
PROMPT_CACHE_MIB = 256
WINDOW_CHECKPOINTS = 2
"""Kept of each slot where layers forget what is behind their window: a prompt goes on from one."""
PROCESS = "agent_lab.providers.local.engines.llamacpp_process"


@engine("llamacpp")
class LlamaCppEngine(Engine):
    """One GGUF model.

    Args:
        process: Where it is loaded.
        model: The model's registry entry.
    """

    def __init__(self, process: EngineProcess, model: ModelEntry) -> None:
        self._process = process
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
        _look_for_binding()
        return any("GPU" in device for device in _devices())

    @override
    @classmethod
    def load(cls, model: ModelEntry, weights: Path, options: LoadOptions) -> Self:
        on_gpu = cls.on_gpu()
        process = EngineProcess(PROCESS, waiting_threads(os.environ))
        try:
            answer = process.ask({"load": _load(model, weights, options, on_gpu=on_gpu)})
            reason = answer.get("failed")
        except EngineEndedError as error:
            reason = f"it ended the process ({error})"
        except BaseException:
            process.close()
            raise
        if reason is not None:
            process.close()
            raise ProviderUnavailableError(
                f"llama.cpp cannot load `{model.key}` from `{weights}`: {reason}.",
                provider="local",
                model=model.key,
                hint="LOG_LEVEL=DEBUG agent-lab run … shows llama.cpp's own reason; a smaller "
                "AGENT_LAB_LOCAL_CONTEXT needs less memory",
            )
        process.serve()
        return cls(process, model)

    @property
    def pid(self) -> int:
        """The number of the model's process."""
        return self._process.pid

    @property
    @override
    def alive(self) -> bool:
        return self._process.alive

    @override
    def chat(
        self,
        messages: Sequence[Message],
        params: Mapping[str, Any],
        emit: Callable[[Delta], None],
        cancelled: Callable[[], bool],
    ) -> EngineAnswer:
        answer = _Answer(emit)
        try:
            for line in self._process.call({"chat": _body(messages, params)}, cancelled):
                if "refused" in line:
                    raise self._refused(str(line["refused"]))
                if "chunk" in line:
                    answer.take(line["chunk"])
        except EngineEndedError as error:
            raise ProviderUnavailableError(
                f"llama.cpp, which ran `{self._model.key}`, has ended ({error}).",
                provider="local",
                model=self._model.key,
                hint="LOG_LEVEL=DEBUG agent-lab run … shows llama.cpp's own reason",
            ) from error
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
        self._process.close()

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
    """Gathers the chunks of one answer."""

    def __init__(self, emit: Callable[[Delta], None]) -> None:
        self._answer = ChatAnswer(emit)
        self._timings: Mapping[str, Any] = {}
        self.error: Mapping[str, Any] | None = None

    @property
    def finish_reason(self) -> str:
        """Why the model stopped; empty: it has not."""
        return self._answer.finish_reason

    def take(self, chunk: Mapping[str, Any]) -> None:
        """Take one chunk."""
        if "error" in chunk:
            self.error = chunk["error"]
            return
        self._timings = chunk.get("timings") or self._timings
        self._answer.take_chunk(chunk)

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


def _load(
    model: ModelEntry, weights: Path, options: LoadOptions, *, on_gpu: bool
) -> dict[str, Any]:
    """How a model is loaded, as its process is told it."""
    return {
        "key": model.key,
        "path": str(weights),
        **options._asdict(),
        "batch": PREFILL_BATCH,
        "prompt_cache_mib": PROMPT_CACHE_MIB,
        "checkpoints": WINDOW_CHECKPOINTS,
        "on_gpu": on_gpu,
        "verbose": logger.isEnabledFor(logging.DEBUG),
    }


@cache
def _devices() -> tuple[str, ...]:
    """What llama.cpp can compute on: it finds out in a process of its own."""
    process = EngineProcess(PROCESS, {})
    try:
        return tuple(process.ask({"devices": True})["devices"])
    except EngineEndedError as error:
        raise ProviderUnavailableError(
            f"The package `xllamacpp` does not work here ({error}).",
            provider="local",
            hint="pip install --force-reinstall 'ai-agent-lab-v3[llamacpp]'",
        ) from error
    finally:
        process.close()


def _look_for_binding() -> None:
    if find_spec("xllamacpp") is None:
        raise MissingDependencyError(
            "Local models need the package `xllamacpp`, which is not installed.",
            hint="pip install 'ai-agent-lab-v3[llamacpp]'",
        )


def waiting_threads(environment: Mapping[str, str]) -> dict[str, str]:
    """How threads of the engine wait for each other: variables to add, if the user chose none."""
    # OpenMP threads that spin on and on while they wait, the default, starve each other on busy
    # cores: five times slower. Those that never spin lose up to half of their speed on idle ones.
    # docs/local-models.md has the figures.
    chosen = environment.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    return {} if chosen else {"GOMP_SPINCOUNT": "1000"}
