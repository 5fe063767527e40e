"""A nats-server whose volume was full is started again by the chart's liveness probe, and then works.

Without a restart such a stream takes nothing any more, also when there is room.
"""

import json
from typing import Any

from tests.e2e import cluster
from tests.e2e.cluster import get, in_pod, kubectl, wait

START = """
[ -e /data/nats.conf ] ||
  echo 'http: 8222, jetstream {store_dir: /data, max_file_store: 1GB, sync_interval: always}' >/data/nats.conf
exec nats-server --config /data/nats.conf
"""

FILL = """
import asyncio, os, sys
import nats
from nats.errors import TimeoutError as NoAnswer

async def main():
    client = await nats.connect(sys.argv[1])
    stream = client.jetstream(timeout=2)
    await stream.add_stream(name="FULL", subjects=["full"])
    try:
        while True:
            await stream.publish("full", os.urandom(100_000))
    except NoAnswer:
        print("full")
    await client.close()

asyncio.run(main())
"""

STORE = """
import asyncio, sys
import nats

async def main():
    client = await nats.connect(sys.argv[1])
    stream = client.jetstream(timeout=2)
    await stream.purge_stream("FULL")
    print((await stream.publish("full", b"more")).stream)
    await client.close()

asyncio.run(main())
"""


def small(stateful_set: dict[str, Any]) -> dict[str, Any]:
    """A pod with the installation's nats-server and its liveness probe, asked more often, on 24 MiB."""
    [container] = stateful_set["spec"]["template"]["spec"]["containers"]
    server = {
        name: container[name] for name in ("name", "image", "imagePullPolicy", "securityContext", "ports")
    }
    server["command"] = ["sh", "-c", START]
    server["livenessProbe"] = container["livenessProbe"] | {"periodSeconds": 1}
    server["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "small", "labels": {"app": "small"}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": stateful_set["spec"]["template"]["spec"]["securityContext"],
            "containers": [server],
            "volumes": [{"name": "data", "emptyDir": {"medium": "Memory", "sizeLimit": "24Mi"}}],
        },
    }


def test_a_nats_that_a_full_disk_has_stopped_is_started_again(shop: str, producer: str, release: str) -> None:
    cluster.apply(json.dumps(small(get("statefulset", "emailflow-nats", release))), shop)
    wait("pod", "small", shop, until="condition=Ready")
    url = f"nats://{get('pod', 'small', shop)['status']['podIP']}:4222"
    assert in_pod(shop, producer, FILL, url).strip() == "full"
    wait("pod", "small", shop, until="jsonpath={.status.containerStatuses[0].restartCount}=1")
    wait("pod", "small", shop, until="condition=Ready")
    assert in_pod(shop, producer, STORE, url).strip() == "FULL"
    kubectl("delete", "pod", "small", "--namespace", shop)
