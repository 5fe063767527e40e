"""Where the parts are joined: a runtime for a pod, and the same runtime with a laptop around it.

The only package that knows both the machinery and the adapters. It joins and starts; it has no rules.
"""
