"""The EmailFlow API: what people declare, and what it means.

One pydantic module per kind, and `compile`, which turns resources into plans. Operator, runtime and
command line share this package and nothing else, so that a manifest means the same in a cluster, in
`emailflow dev` and in `emailflow lint`. Pure: no I/O, no clock, no randomness, no environment.
"""
