"""Events, and a sink that answers as the test says."""

import pytest

from emailflow_runtime.core.cloudevents.event import CloudEvent


class FakeSink:
    """The port Sink in memory. `script`: what each coming call answers for all events; then all is taken."""

    def __init__(self):
        self.calls = []
        self.script = []
        self.verdicts = {}
        """By id: the outcome, as long as it stands here."""

    @property
    def taken(self):
        return [
            event_id
            for ids, outcomes in self.calls
            for event_id, each in zip(ids, outcomes, strict=True)
            if each is None
        ]

    async def send(self, events):
        if self.script:
            outcomes = [self.script.pop(0)] * len(events)
        else:
            outcomes = [self.verdicts.get(event.id) for event in events]
        self.calls.append(([event.id for event in events], outcomes))
        return outcomes


@pytest.fixture
def sink():
    return FakeSink()


@pytest.fixture
def event():
    def make(number, size=20):
        return CloudEvent(
            id=str(number), source="/shop", type="com.example.cart", data=b'"' + b"x" * size + b'"'
        )

    return make
