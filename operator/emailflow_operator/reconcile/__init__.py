"""What should be, from what is: pure. Pictures of the cluster, plans and reports in; plans, manifests and
statuses out. No I/O, no clock, no randomness; who writes it, and when, is `control`'s.
"""
