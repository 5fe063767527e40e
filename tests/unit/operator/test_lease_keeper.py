"""The Lease and the operator's event loop hold each other up in neither direction."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from emailflow_operator.adapters import lease, lease_keeper
from emailflow_operator.adapters.kubernetes_access import Access
from emailflow_operator.adapters.lease_keeper import LeaseKeeper
from emailflow_operator.errors import LeaseLost

WITHIN = 60


class Leases:
    """An API server with one Lease, on threads of its own; the real one is asked in tests/integration."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.renewals = 0
        self.renewed = threading.Semaphore(0)
        self.taken_by_another = False
        leases = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(404 if leases.lease is None else 200, leases.lease or {})

            def do_POST(self) -> None:
                self._put(201)

            def do_PUT(self) -> None:
                self._put(200)

            def _put(self, status: int) -> None:
                value = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
                if leases.taken_by_another:
                    leases.lease = {**value, "spec": {**value["spec"], "holderIdentity": "another"}}
                    self._answer(409, {"message": "conflict"})
                    return
                leases.lease = value
                leases.renewals += 1
                leases.renewed.release()
                self._answer(status, value)

            def _answer(self, status: int, value: Any) -> None:
                body = msgspec.json.encode(value)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.access = Access(f"http://127.0.0.1:{self._server.server_address[1]}")

    @property
    def holder(self) -> str:
        return str((self.lease or {}).get("spec", {}).get("holderIdentity"))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def leases(monkeypatch: pytest.MonkeyPatch) -> Iterator[Leases]:
    monkeypatch.setattr(lease, "RENEW_EVERY", 0.2)
    made = Leases()
    yield made
    made.close()


async def test_the_lease_is_renewed_while_the_event_loop_is_held_up(leases: Leases) -> None:
    keeper = LeaseKeeper(leases.access, "system", "me")
    async with asyncio.timeout(WITHIN):
        await keeper.acquire()
        for _ in range(5):
            # This very call holds the event loop up.
            assert leases.renewed.acquire(timeout=WITHIN)
        await keeper.release()
    assert leases.holder == ""


async def test_a_lost_lease_ends_what_is_done_under_it(leases: Leases) -> None:
    keeper = LeaseKeeper(leases.access, "system", "me")
    async with asyncio.timeout(WITHIN):
        await keeper.acquire()
        leases.taken_by_another = True
        with pytest.raises(LeaseLost):
            await keeper.hold()
        await keeper.release()
    assert leases.holder == "another"


async def test_a_lease_that_is_lost_while_the_event_loop_is_held_up_ends_the_process(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_keeper, "TAKE_NOTICE_WITHIN", 0.1)
    ended = threading.Event()
    keeper = LeaseKeeper(leases.access, "system", "me", end=ended.set)
    async with asyncio.timeout(WITHIN):
        await keeper.acquire()
        leases.taken_by_another = True
        assert ended.wait(WITHIN)  # and nothing else happens in this loop meanwhile
        await keeper.release()


async def test_who_never_leads_ends_without_having_led(leases: Leases) -> None:
    first, second = (LeaseKeeper(leases.access, "system", name) for name in ("first", "second"))
    async with asyncio.timeout(WITHIN):
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())
        await asyncio.sleep(0)
        waiting.cancel()
        await second.release()
        assert leases.holder == "first"
        await first.release()
