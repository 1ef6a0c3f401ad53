"""What Prometheus is told of local models."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from agent_lab.contracts import ModelTraffic
from agent_lab.observability.model_metrics import LocalModelMetrics
from tests.loaded import loaded_model

BUSY = loaded_model("a").model_copy(update={"in_use": 3, "need_gb": 1.5})
COMING = loaded_model("b").model_copy(update={"state": "loading"})
TRAFFIC = ModelTraffic(key="a", loads=2, load_seconds=5.5, unloads={"room": 1, "idle": 4})


def scraped(*models, traffic=()) -> list[str]:
    registry = CollectorRegistry()
    registry.register(LocalModelMetrics(lambda: models, lambda: traffic))
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_each_model_has_its_state_memory_and_calls():
    assert set(scraped(BUSY, COMING)) == {
        'lab_local_model_state{model="a"} 2.0',
        'lab_local_model_state{model="b"} 1.0',
        'lab_local_model_memory_bytes{model="a"} 1.5e+09',
        'lab_local_model_memory_bytes{model="b"} 1e+09',
        'lab_local_model_calls{model="a"} 3.0',
        'lab_local_model_calls{model="b"} 0.0',
    }


def test_loads_and_unloads_are_counted_with_their_reasons():
    assert set(scraped(traffic=(TRAFFIC,))) == {
        'lab_local_model_loads_total{model="a"} 2.0',
        'lab_local_model_load_seconds_total{model="a"} 5.5',
        'lab_local_model_unloads_total{model="a",reason="room"} 1.0',
        'lab_local_model_unloads_total{model="a",reason="idle"} 4.0',
    }


def test_where_nothing_is_loaded_nothing_is_told():
    assert scraped() == []
