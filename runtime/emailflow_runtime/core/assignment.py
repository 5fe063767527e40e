"""Which replica should own which shard: an answer that every replica works out for itself from what the
leases say, and that is the same everywhere.

It moves as few shards as possible; who may really take one is for the leases, and the epoch, to say.
"""

from collections.abc import Collection, Mapping


def assign(shards: int, members: Collection[str], held: Mapping[int, str]) -> dict[int, str]:
    """The member that each shard should belong to; empty without members.

    Nobody gets more than one shard more than anybody else. `held` says who holds a shard now: whoever is no
    member counts as nobody, and a member keeps what it holds up to its share.
    """
    if not members:
        return {}
    kept = {member: sorted(s for s in range(shards) if held.get(s) == member) for member in members}
    least, over = divmod(shards, len(kept))
    # Where the division leaves something over, those keep it who hold most already.
    ranked = sorted(kept, key=lambda member: (-len(kept[member]), member))
    room = {member: least + (place < over) for place, member in enumerate(ranked)}
    wanted = {shard: member for member in ranked for shard in kept[member][: room[member]]}
    places = (member for member in ranked for _ in range(room[member] - len(kept[member][: room[member]])))
    wanted.update(zip((shard for shard in range(shards) if shard not in wanted), places, strict=True))
    return wanted
