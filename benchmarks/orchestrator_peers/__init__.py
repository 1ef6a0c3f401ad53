"""The arms of `benchmarks/orchestrator.py`: the same calls, made by us, LangGraph and asyncio.

`flows` says what is asked, `ours`, `hand_written` and `plain` ask it; `measuring`, `crowd` and
`building` find out what that costs, and `report` says so.
"""
