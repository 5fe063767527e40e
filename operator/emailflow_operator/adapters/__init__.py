"""The outside, each side once: the Kubernetes API, JetStream, keys. They do as told and judge nothing."""
