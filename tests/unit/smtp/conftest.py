"""Dialogues run against scripts: no socket, no clock."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from emailflow_runtime.core.smtp.dialogue import FLUSHED, Flush
from emailflow_runtime.core.smtp.errors import ConnectionLost, ConversationEnded
from emailflow_runtime.core.smtp.reply import ReplyReader
from emailflow_runtime.errors import EmailFlowError


@dataclass
class Played:
    """What a dialogue said, and how it ended."""

    said: list[bytes] = field(default_factory=list)
    result: Any = None
    error: Exception | None = None


def _play(dialogue, *script):
    """Answer each yield with the next of the script: a reply as text, FLUSHED, or an error to throw.

    After the script the connection is lost.
    """
    played = Played()
    answers = iter(script)
    try:
        said = next(dialogue)
        while True:
            content = said.content if isinstance(said, Flush) else said
            if content:
                played.said.append(content)
            answer = next(answers, ConnectionLost("gone"))
            if isinstance(answer, ConversationEnded):
                said = dialogue.throw(answer)
            elif answer is FLUSHED:
                said = dialogue.send(FLUSHED)
            else:
                (reply,) = ReplyReader().feed(answer.encode() + b"\r\n")
                said = dialogue.send(reply)
    except StopIteration as end:
        played.result = end.value
    except EmailFlowError as error:
        played.error = error
    return played


@pytest.fixture(scope="session")
def play():
    return _play
