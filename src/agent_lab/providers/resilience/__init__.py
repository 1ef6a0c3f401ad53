"""What keeps one bad provider from spoiling a run: breaker, limits, retries, budgets."""
