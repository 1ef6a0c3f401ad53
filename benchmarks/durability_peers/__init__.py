"""The arms of `benchmarks/durability.py`: the same runs, kept by us, by LangGraph, by nobody.

`workloads` says what is run, `graphs` and `arms` run it; `timing` and `sizes` find out what that
costs, `profiling` where our part of it goes, and `report` says so. Calls, prompts and the way of
comparing are those of `orchestrator_peers`.
"""
