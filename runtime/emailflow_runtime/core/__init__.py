"""The rules, pure: what a journey is, how facts change it, what follows from an input.

Total and deterministic: no I/O, no clock, no randomness, no environment, no logging.
"""
