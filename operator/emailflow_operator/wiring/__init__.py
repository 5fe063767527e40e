"""Puts the parts together. It decides nothing."""
