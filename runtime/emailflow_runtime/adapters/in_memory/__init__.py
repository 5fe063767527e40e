"""The ports of `app` in memory, behaving as JetStream, KV and a provider do where the machinery could notice.

For the simulation and for tests. `tests/contract` runs one suite on these and on the real adapters; what
is not asserted there may not be relied upon here. No I/O, no threads, and no time but the event loop's.
"""
