"""JetStream behind the ports of `app.stores`: the log, state under its epoch, feeds, plans, dead letters.

The only package of the runtime that knows NATS. It carries out; what happens is decided elsewhere.
"""
