"""What a service's pod does to emit an event. The programs run inside the pod, by `kubectl exec`."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.cluster import WAIT, in_pod

SIGNED_UP = "com.example.user.signed_up"


def door(namespace: str) -> str:
    """Where the events of a namespace's own runtime go."""
    return f"http://emailruntime-default.{namespace}.svc/events"


OVER_HTTP = """
import asyncio, json, sys
import aiohttp

async def main():
    url, events = sys.argv[1], json.loads(sys.argv[2])
    headers = {"content-type": "application/cloudevents+json"}
    if sys.argv[4]:
        headers["authorization"] = "Bearer " + open(sys.argv[4]).read()
    async with aiohttp.ClientSession() as session:
        async def post(event):
            for _ in range(int(sys.argv[3])):
                try:
                    async with session.post(url, data=json.dumps(event), headers=headers) as answer:
                        if answer.status not in (429, 503):
                            return answer.status
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.5)
            return 0
        print(json.dumps(await asyncio.gather(*map(post, events))))

asyncio.run(main())
"""

OVER_NATS = """
import asyncio, json, ssl, sys
import nats

async def main():
    url, credentials, subject, events = sys.argv[1:5]
    client = await nats.connect(url, user_credentials=credentials, inbox_prefix=sys.argv[5],
                                tls=ssl.create_default_context(cafile=sys.argv[6]))
    for event in json.loads(events):
        data = event.pop("data")
        headers = {f"ce-{name}": value for name, value in event.items()}
        headers["content-type"] = "application/json"
        print((await client.jetstream().publish(subject, json.dumps(data).encode(), headers=headers)).stream)
    await client.close()

asyncio.run(main())
"""


def sign_up(name: str, *, plan: str = "free") -> dict[str, Any]:
    """The event that somebody signed up, as a CloudEvent; `name` is its id and the user's."""
    user = {"id": name, "email": f"{name}@example.com", "name": name.capitalize(), "plan": plan}
    return {
        "specversion": "1.0",
        "id": name,
        "source": "/accounts",
        "type": SIGNED_UP,
        "datacontenttype": "application/json",
        "data": {"user": user},
    }


def post(
    namespace: str,
    pod: str,
    *events: dict[str, Any],
    url: str = "",
    attempts: int = 1,
    token: str = "/token/token",
) -> list[int]:
    """Post events from a pod, to its namespace's door unless `url` says another.

    The door's status for each, 0 where no attempt got one that counts.
    """
    where = url or door(namespace)
    answer = in_pod(namespace, pod, OVER_HTTP, where, json.dumps(events), str(attempts), token)
    statuses: list[int] = json.loads(answer)
    return statuses


ONE_CLICK = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], data=b"List-Unsubscribe=One-Click", method="POST")
print(urllib.request.urlopen(request, timeout=10).status)
"""


def unsubscribe_link(mail: dict[str, Any]) -> str:
    """Where one click unsubscribes (RFC 8058), as a mail's header says."""
    found = re.search(r"<(http[^>]+)>", mail["headers"]["list-unsubscribe"])
    assert found
    return found[1]


STEADILY = """
import asyncio, json, sys
import aiohttp

async def main():
    url, prefix, each = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    headers = {"content-type": "application/cloudevents+json"}
    tokens = {name: "Bearer " + open("/token/" + name).read() for name in ("token", "earlier")}
    headers["authorization"] = tokens["earlier"]
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    names = iter(range(10 ** 6))
    accepted = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        async def work():
            while not ended.done():
                name = prefix + str(next(names))
                event = json.dumps(each).replace("NAME", name)
                while True:
                    try:
                        async with session.post(url, data=event, headers=headers) as answer:
                            if answer.status == 202:
                                accepted.append(name)
                                break
                            if answer.status == 401 and headers["authorization"] != tokens["token"]:
                                headers["authorization"] = tokens["token"]
                            elif answer.status not in (401, 429, 503):
                                raise SystemExit(answer.status)
                    except (aiohttp.ClientError, TimeoutError):
                        pass
                    await asyncio.sleep(0.2)
                await asyncio.sleep(0.1)
        await asyncio.gather(*(work() for _ in range(8)))
    print(json.dumps(accepted))

asyncio.run(main())
"""


@contextmanager
def load(
    namespace: str, pod: str, prefix: str, event: dict[str, Any], *, url: str = ""
) -> Iterator[list[str]]:
    """While inside, a pod posts events at its namespace's door, or `url`, again until each is accepted.

    NAME in `event` stands for a name of each event's own. On leaving, the list holds the names accepted.
    """
    program = ["python", "-c", STEADILY, url or door(namespace), prefix, json.dumps(event)]
    where = ["--namespace", namespace, "--container", "app", "--stdin", pod]
    accepted: list[str] = []
    with subprocess.Popen(
        ["kubectl", "exec", *where, "--", *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield accepted
            said, _ = process.communicate(timeout=WAIT)
            assert process.returncode == 0
            accepted += json.loads(said)
        finally:
            process.kill()
