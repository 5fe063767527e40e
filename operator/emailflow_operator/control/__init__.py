"""When things are done: a worker for each runtime, what it waits for, how it tries again.

What should be is `reconcile`'s, how it is said to Kubernetes and NATS is `adapters`'.
"""
