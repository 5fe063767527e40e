"""What has to be sent so that a stream or a consumer becomes what is wanted; nothing, when it is so already.

The server fills in defaults, so a live configuration says more than was asked for.
"""

from typing import Any

from emailflow_api.jetstream.topology import Config

_START = ("deliver_policy", "opt_start_time", "opt_start_seq")
"""Where a consumer starts can't be changed, and must not be: its position is what counts now."""

_FIXED = ("max_bytes", "max_consumers")
"""Of a stream that is there: its bound fits the disk, and JetStream refuses to change the other."""


def stream_changes(there: Config | None, wanted: Config) -> Config | None:
    """The configuration to create or update with."""
    if there is None:
        return wanted
    wanted = _with_the_servers(there, {f: value for f, value in wanted.items() if f not in _FIXED})
    return None if _says(there, wanted) else {**there, **wanted}


def consumer_changes(there: Config | None, wanted: Config) -> Config | None:
    """The configuration to create or update with."""
    if there is None:
        return wanted
    kept: Config = {field: there[field] for field in _START if field in there}
    config = {**{field: value for field, value in wanted.items() if field not in _START}, **kept}
    config = _with_the_servers(there, config)
    return None if _says(there, config) else config


def _with_the_servers(there: Config, wanted: Config) -> Config:
    """The server has entries of its own in what metadata there is."""
    if "metadata" not in wanted:
        return wanted
    return {**wanted, "metadata": {**(there.get("metadata") or {}), **wanted["metadata"]}}


def _says(there: Config, wanted: Config) -> bool:
    return all(there.get(field, _absent(value)) == value for field, value in wanted.items())


def _absent(value: Any) -> Any:
    """What a field means that the server leaves out because it is empty."""
    return type(value)() if isinstance(value, bool | int | str | list | dict) else None
