"""Admission: what `kubectl apply` hears at once, and how pods get their sidecar.

`judgement`, `review`, `neighbours` and the certificates' `policy` are pure; `server` and the sources of
certificates do I/O. Every replica of the operator serves; what only one may do, the leader does.
"""
