"""The adversary reaches every bound, and others have their mails as soon as without him."""

from itertools import islice

from tests.simulation import adversary_oracles, floods, limits
from tests.simulation.adversary import Adversary
from tests.simulation.features import features
from tests.simulation.oracles import Story
from tests.simulation.play import play

from emailflow_runtime.core import facts as f

WORLDS = 6


def flooded():
    """Worlds with an adversary, played."""
    seeds = (seed for seed in range(100_000) if features(seed).adversary)
    return [play(seed) for seed in islice(seeds, WORLDS)]


def test_the_adversary_reaches_every_bound():
    met = set()
    for played in flooded():
        world, story = played.world, Story(played.world)
        assert played.problems == []
        met.update(world.network.answers)
        met.update(letter.reason for letter in world.broker.letters)
        entered = {fact.event.id for fact in story.of_kind(f.Entered)}
        if any(each.type == floods.BASKET and each.id not in entered for each in world.accepted):
            met.add("too costly")
        if world.network.largest > limits.LARGEST - limits.HEADERS - 2_000:
            met.add("largest")
        if len({each.type for each in world.accepted}) > 3 * limits.SMALL[limits.TYPES]:
            met.add("types")
    assert met == {"too many", "subjects", *adversary_oracles.REASONS, "too costly", "largest", "types"}


def test_without_him_others_wait_as_long(monkeypatch):
    async def nothing(self, events):
        pass

    monkeypatch.setattr(Adversary, "_send", nothing)
    for played in flooded():
        assert not {each.source for each in played.world.accepted} - {"/shop"}
        assert played.world.adversary.probes
        assert played.problems == []
