"""The operator: makes JetStream and Kubernetes equal to the resources that exist.

Handlers only route; `reconcile` decides and is pure; adapters talk to Kubernetes and JetStream. It
never writes a `spec` and never imports the runtime.
"""
