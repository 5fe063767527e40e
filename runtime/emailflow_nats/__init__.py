"""NATS as operator and runtime both need it: what the client library lacks, once.

It knows the client library and nothing of email, plans or streams.
"""
