"""The port `Renderer` on worker processes that can be killed.

`pool` runs in the runtime, `__main__` and `workshop` in the worker; they share `frames` and nothing
else. A template can take no more than a worker with it, and a worker has nothing worth taking: an empty
environment, no files to write, no more processes, bounded memory and CPU.
"""
