"""What requests and answers look like, for the server's description."""

from agent_lab.contracts import JsonObject

INFERENCE: JsonObject = {"prompt": "Why is the sky blue?", "max_tokens": 100}
INFERENCE_ANSWER: JsonObject = {
    "id": "01K9ZB4Q8T6X3N5V7W2Y1M0R4C",
    "timestamp": "2026-11-24T09:30:00Z",
    "success": True,
    "model": "qwen2.5-coder-1.5b",
    "strategy": "optimized",
    "prompt": "Why is the sky blue?",
    "output": "Air scatters blue light more than red light.",
    "reasoning": "",
    "finish_reason": "stop",
    "source": "local",
    "metrics": {
        "total_time": 1.42,
        "tokens_generated": 10,
        "cache_hit": False,
        "model_warm": True,
        "load_time": 0.0,
        "inference_time": 1.42,
    },
    "usage": {
        "prompt_tokens": 35,
        "cached_tokens": 0,
        "completion_tokens": 10,
        "reasoning_tokens": 0,
        "cost_usd": 0.0,
    },
    "timings": {
        "queue": 0.0,
        "load_time": 0.0,
        "prefill": 0.4,
        "decode": 1.0,
        "inference_time": 1.42,
        "total": 1.42,
    },
    "attempts": [
        {
            "model_key": "qwen2.5-coder-1.5b",
            "provider": "local",
            "outcome": "ok",
            "seconds": 1.42,
            "error": "",
        }
    ],
    "dropped_params": [],
}

ORCHESTRATE: JsonObject = {
    "prompt": "Explain quantum computing",
    "strategy": "optimized",
    "max_tokens": 500,
}
ORCHESTRATE_ANSWER: JsonObject = {
    "id": "01K9ZB4Q8T6X3N5V7W2Y1M0R4C",
    "timestamp": "2026-11-24T09:30:00Z",
    "success": True,
    "status": "completed",
    "output": "A quantum computer …",
    "model": "qwen2.5-coder-1.5b",
    "flow": {
        "name": "challenge",
        "nodes": [
            {
                "id": "creator",
                "name": "Creator",
                "type": "execution",
                "role": "creator",
                "status": "completed",
                "start_time": 0.01,
                "end_time": 12.3,
                "timestamp": "2026-11-24T09:30:00Z",
                "output": "A quantum computer uses …",
                "full_content_length": 640,
                "turns": 1,
                "model": "qwen2.5-coder-1.5b",
                "strategy": "optimized",
                "tokens_generated": 150,
            },
            {
                "id": "challenger",
                "name": "Challenger",
                "type": "execution",
                "role": "challenger",
                "status": "skipped",
                "output": "",
            },
        ],
        "edges": [{"source": "creator", "target": "challenger"}],
    },
    "metrics": {
        "total_time": 31.2,
        "total_time_sec": 31.2,
        "tokens_generated": 410,
        "models_used": ["qwen2.5-coder-1.5b"],
        "cache_hit": False,
        "model_warm_rate": 0.67,
        "load_time": 1.9,
        "inference_time": 29.0,
        "workers_executed": ["creator", "challenger", "refiner"],
        "retries": 0,
    },
    "usage": {
        "prompt_tokens": 1480,
        "cached_tokens": 420,
        "completion_tokens": 410,
        "reasoning_tokens": 0,
        "cost_usd": 0.0,
    },
    "stop_reason": "completed",
    "degraded": [],
    "dropped_params": [],
    "summary": "3 turns in 31.2 s; 410 tokens written; 2 of 3 turns found the model loaded.",
}
