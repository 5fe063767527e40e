"""The children of an EmailRuntime: manifests that are written by server-side apply, in its namespace.

Everything is a function of the runtime's spec, its plans' references and the operator's own settings.
A value of a Secret is never part of one.
"""
