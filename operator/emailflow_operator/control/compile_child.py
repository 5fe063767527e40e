"""The child of `compiler`: `python -m emailflow_operator.control.compile_child PAGE`.

A job at a time: the objects of one runtime in, what they compile to out. Nothing is kept but what the
compiler remembers of templates.
"""

import sys
from collections.abc import Iterator

import msgspec

from emailflow_api.errors import Finding, Severity
from emailflow_api.reading import Document
from emailflow_operator.adapters.confined.child import Channel
from emailflow_operator.control.compile_frames import (
    Item,
    Job,
    compile_too_large,
    decode_job,
    encode_compiled,
)
from emailflow_operator.reconcile.desired import compile_for

_item = msgspec.msgpack.Decoder(Item)


def work(channel: Channel) -> None:
    """Serve until the operator is gone."""
    while (body := channel.read()) is not None:
        job = decode_job(body)
        channel.allow(memory=job.memory, seconds=job.seconds)
        given_up = dict(job.given_up)
        documents = list(_documents(channel, job, given_up))
        compiled = compile_for(job.key, documents, given_up, channel.begin)
        channel.begin("")
        channel.answer(encode_compiled(compiled))


def _documents(channel: Channel, job: Job, given_up: dict[str, Finding]) -> Iterator[Document]:
    """The job's objects; of what can't be read only the name, so that it is known as broken."""
    for _ in range(job.count):
        body = channel.read()
        if body is None:
            return
        item = _item.decode(body)
        channel.begin(item.subject)
        try:
            value = msgspec.msgpack.decode(item.value)
        except MemoryError:
            value, given_up[item.subject] = item.stub, compile_too_large(item.subject)
        except (msgspec.DecodeError, RecursionError):
            message = "is nested too deeply to be compiled"
            finding = Finding(Severity.ERROR, "TooComplex", item.subject, "", message, "fewer levels")
            value, given_up[item.subject] = item.stub, finding
        yield Document(value, "cluster", 0)


if __name__ == "__main__":
    work(Channel(int(sys.argv[1])))
