"""What a service's pod does to emit an event. The programs run inside the pod, by `kubectl exec`."""

import json
from typing import Any

from tests.e2e.cluster import in_pod

DOOR = "http://emailflow-default.shop.svc/events"
SIGNED_UP = "com.example.user.signed_up"

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
import asyncio, json, sys
import nats

async def main():
    url, credentials, subject, events = sys.argv[1:5]
    client = await nats.connect(url, user_credentials=credentials, inbox_prefix=sys.argv[5])
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
    url: str = DOOR,
    attempts: int = 1,
    token: str = "/token/token",
) -> list[int]:
    """Post events from a pod; the door's status for each, 0 where no attempt got one that counts."""
    answer = in_pod(namespace, pod, OVER_HTTP, url, json.dumps(events), str(attempts), token)
    statuses: list[int] = json.loads(answer)
    return statuses
