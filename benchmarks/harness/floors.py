"""What the machine itself can do: the least that any engine on this nats-server and this network costs."""

import json
import socket
import time

from harness.raw_nats import Frame, RawNats

SECONDS = 2.0
STREAM = "BENCH_FLOOR"


def _stream(url: str) -> RawNats:
    """A stream like STATE, for nothing but this."""
    connection = RawNats(url)
    config = {
        "name": STREAM,
        "subjects": ["bench.floor.>"],
        "storage": "file",
        "allow_atomic": True,
        "max_msgs_per_subject": 1,
    }
    connection.publish_each([(f"$JS.API.STREAM.CREATE.{STREAM}".encode(), b"", json.dumps(config).encode())])
    return connection


def batch_floor(url: str, size: int) -> float:
    """Messages of 700 bytes a second, in atomic batches of this size, one after the other."""
    connection = _stream(url)
    frames: list[Frame] = [(b"bench.floor.%d" % each, b"", b"x" * 700) for each in range(size)]
    begun, sent = time.monotonic(), 0
    while time.monotonic() - begun < SECONDS:
        connection.publish_batch(frames)
        sent += size
    rate = sent / (time.monotonic() - begun)
    connection.publish_each([(f"$JS.API.STREAM.DELETE.{STREAM}".encode(), b"", b"")])
    connection.close()
    return rate


def smtp_floor(port: int) -> float:
    """Mails of 3,000 bytes a second over 16 pipelined connections to the sink."""
    mail = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<nobody@example.com>\r\nDATA\r\n"
    body = b"Subject: floor\r\n\r\n" + (b"x" * 74 + b"\r\n") * 39 + b".\r\n"
    connections = []
    for _ in range(16):
        opened = socket.create_connection(("127.0.0.1", port), 10)
        opened.recv(100)
        opened.sendall(b"EHLO bench\r\n")
        opened.recv(1000)
        connections.append(opened)
    begun, sent = time.monotonic(), 0
    while time.monotonic() - begun < SECONDS:
        for each in connections:
            each.sendall(mail)
        for each in connections:
            _until(each, b"354")
            each.sendall(body)
        for each in connections:
            _until(each, b"250 ok\r\n")
        sent += len(connections)
    took = time.monotonic() - begun
    for each in connections:
        each.close()
    return sent / took


def _until(connection: socket.socket, end: bytes) -> None:
    said = b""
    while end not in said[-64:]:
        said += connection.recv(4096)
