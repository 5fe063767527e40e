"""Replays: the request that a flow reads a stretch of EVENTS again, as an event in the flow's own feed.

Standing there it has a place: whatever is sent or wakes waits until the flow has passed it, so that nobody is
mailed before the flow has also seen again what would have taken them out.
"""

import msgspec

from emailflow_api.jetstream.topology import REPLAY_REQUESTED
from emailflow_runtime.core.cloudevents.event import CloudEvent


class Replay(msgspec.Struct, frozen=True, rename="camel"):
    """Read `flow` the events from sequence `first` to `last` again; who entered then is let in now.

    What came after `last` can still take people out, but lets nobody in.
    """

    flow: str
    first: int
    last: int


def replay_event(replay: Replay, *, runtime: str, shard: int, end: int) -> CloudEvent:
    """The request as an event; `end` is where EVENTS ended when it was made, so that each has its own id."""
    return CloudEvent(
        id=f"{replay.flow}-{shard}-{replay.first}-{replay.last}-{end}",
        source=f"/emailflow/{runtime.replace('_', '/')}/replays",
        type=REPLAY_REQUESTED,
        datacontenttype="application/json",
        data=msgspec.json.encode(replay),
    )


def read_replay(event: CloudEvent) -> Replay | None:
    """The request in an event, None if it is none."""
    if event.type != REPLAY_REQUESTED or event.data is None:
        return None
    try:
        return msgspec.json.decode(event.data, type=Replay)
    except msgspec.DecodeError:
        return None
