"""The outside world behind the ports of `app`. Adapters don't know each other."""
