"""A reviewing child that never answers; `read`: not before it has said what it was asked."""

import sys
import threading

from emailflow_operator.adapters.confined.child import Channel
from emailflow_operator.admission.review_frames import Read, encode

when, page = sys.argv[1:]
channel = Channel(int(page))
channel.read()
channel.read()
if when == "read":
    channel.ask(encode(Read("u1")))
threading.Event().wait()
