"""The arms of `benchmarks/gateway.py`: what is measured, each in a process of its own.

`harness` runs inside every client, `processes` and `measuring` in the benchmark itself. A client
needs nothing but the library that it measures, so it runs in that library's environment.
"""
