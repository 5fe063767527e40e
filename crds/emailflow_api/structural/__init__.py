"""From models to what Kubernetes and editors read: structural schemas, CustomResourceDefinitions, JSON
Schemas and the field reference. Pure functions to plain data; writing files is the command line's.
"""
