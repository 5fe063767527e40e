"""The data plane: takes CloudEvents in, decides, waits, renders, sends, and records what happened.

`core` and `rendering` are pure; `app` holds the ports and the machinery that loads, calls the core and
saves; `adapters` are the only modules that know NATS, HTTP, SMTP or the disk; `web` shows people what
is there. `emailflow dev` and a pod compose the same parts.
"""
