"""What Prometheus can ask of local models: read when it asks, from who keeps them."""

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from agent_lab.contracts import LoadedModel, ModelTraffic

STATES = {"unloading": 0, "loading": 1, "ready": 2}


class LocalModelMetrics(Collector):
    """The models that take memory now, and how often each came and went.

    Args:
        loaded: Who is here.
        traffic: Who came and went.
    """

    def __init__(
        self,
        loaded: Callable[[], Iterable[LoadedModel]],
        traffic: Callable[[], Iterable[ModelTraffic]],
    ) -> None:
        self._loaded = loaded
        self._traffic = traffic

    @override
    def collect(self) -> Iterable[Metric]:
        """Read everything anew."""
        state = GaugeMetricFamily(
            "lab_local_model_state", "0 unloading, 1 loading, 2 ready.", labels=["model"]
        )
        memory = GaugeMetricFamily(
            "lab_local_model_memory_bytes", "What a model takes at the most.", labels=["model"]
        )
        calls = GaugeMetricFamily(
            "lab_local_model_calls", "Calls that are answered or wait for a slot.", labels=["model"]
        )
        for model in self._loaded():
            state.add_metric([model.key], STATES[model.state])
            memory.add_metric([model.key], model.need_gb * 1e9)
            calls.add_metric([model.key], model.in_use)
        loads = CounterMetricFamily("lab_local_model_loads", "Loads.", labels=["model"])
        seconds = CounterMetricFamily(
            "lab_local_model_load_seconds", "Seconds of all loads.", labels=["model"]
        )
        unloads = CounterMetricFamily(
            "lab_local_model_unloads", "Unloads: for room, idle, asked.", labels=["model", "reason"]
        )
        for seen in self._traffic():
            loads.add_metric([seen.key], seen.loads)
            seconds.add_metric([seen.key], seen.load_seconds)
            for reason, number in seen.unloads.items():
                unloads.add_metric([seen.key, reason], number)
        return (state, memory, calls, loads, seconds, unloads)

    def describe(self) -> Iterable[Metric]:
        """Nothing: it would have to be collected before anybody is here."""
        return ()
