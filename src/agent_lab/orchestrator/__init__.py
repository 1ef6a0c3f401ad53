"""Runs a flow as a LangGraph graph; the only place that knows LangGraph."""
