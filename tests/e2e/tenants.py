"""A tenant of the cluster with its own credentials, and what its pod runs with them."""

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tests.e2e import cluster
from tests.e2e.cluster import in_pod, kubectl, run, wait
from tests.e2e.conftest import apply_example

from emailflow_api.jetstream.naming import Names, Role

NATS = "emailflow-nats.emailflow.svc:4222"

ON_NATS = """
import asyncio, json, ssl, sys
import nats

async def main():
    url, folder, inbox, acts = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
    refused = []
    async def note(error):
        refused.append(str(error))
    trusted = ssl.create_default_context(cafile=folder + "/default.ca.crt")
    client = await nats.connect(url, user_credentials=folder + "/default.creds", inbox_prefix=inbox,
                                tls=trusted, error_cb=note, allow_reconnect=False)

    async def settled():
        await client.flush(30)
        await client.flush(30)

    async def do(subject, body="", reply="", headers=None, listen=False):
        refused.clear()
        if listen:
            await client.subscribe(subject)
            await settled()
            return "refused" if refused else "heard"
        answers = await client.subscribe(client.new_inbox(), max_msgs=1)
        await client.publish(subject, body.encode(), reply=reply or answers.subject, headers=headers)
        await settled()
        if refused:
            return "refused"
        if reply:
            return "sent"
        message = await answers.next_msg(30)
        status = (message.headers or {}).get("Status", "")
        sequence = (message.headers or {}).get("Nats-Sequence", "")
        return {"data": message.data.decode(), "status": status, "sequence": sequence}

    print(json.dumps([await do(**act) for act in acts]))
    await client.close()

asyncio.run(main())
"""
"""Does each act as one user: it listens, publishes with the reply that is said, or waits for the answer."""

WITHOUT_CREDENTIALS = """
import asyncio, socket, ssl, sys
import nats

async def main():
    host, server = sys.argv[1:3]
    for port in ("4222", "6222", "8222"):
        try:
            socket.create_connection((server, port), timeout=30).close()
            print("reached", port)
        except ConnectionRefusedError:
            pass
    async def note(error):
        print(error)
    trusted = ssl.create_default_context(cafile="/nats/producer/default.ca.crt")
    try:
        await nats.connect("nats://" + host, tls=trusted, error_cb=note, max_reconnect_attempts=1)
    except nats.errors.Error as refusal:
        print(refusal)

asyncio.run(main())
"""
"""Which ports of a server are open, and what it says to whom it doesn't know."""

OVER_HTTP = """
import asyncio, json, ssl, sys
import aiohttp

async def main():
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connector = aiohttp.TCPConnector(ssl=trusting)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        async def ask(method, url, body="", repeat=1, token="", file=""):
            headers = {"content-type": "application/cloudevents+json"}
            if file or token:
                headers["authorization"] = "Bearer " + (token or open(file).read())
            try:
                data = body.encode() * repeat
                async with session.request(method, url, data=data, headers=headers) as answer:
                    return answer.status
            except (aiohttp.ClientError, TimeoutError, OSError):
                return 0
        print(json.dumps(await asyncio.gather(*[ask(**each) for each in json.loads(sys.argv[1])])))

asyncio.run(main())
"""
"""Asks all at once; 0 stands for no answer. It trusts whatever certificate it is shown."""


class Tenant:
    """A namespace, a runtime `default` in it, and everything that its people and pods may have."""

    def __init__(self, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self.names = Names(namespace, "default")
        self._folder = folder
        cluster.make_namespace(namespace)
        apply_example(namespace)
        cluster.apply(cluster.manifest("tenant.yaml"), namespace)
        wait("pod", "tenant", namespace, until="condition=Ready")
        for person in ("author", "platform"):
            self._kubeconfig(person)

    def _kubeconfig(self, person: str) -> None:
        """With the token of a ServiceAccount, and nothing else to be known by."""
        config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
        token = self.token(audience="", account=person)
        config["users"] = [{**each, "user": {"token": token}} for each in config["users"]]
        (self._folder / f"{self.namespace}-{person}").write_text(json.dumps(config))

    def token(self, *, audience: str, account: str = "default") -> str:
        """A token of one of its ServiceAccounts, for an audience; empty: for the cluster's API."""
        more = [f"--audience={audience}"] if audience else []
        return kubectl("create", "token", account, "--namespace", self.namespace, *more).strip()

    def kubectl(self, person: str, *arguments: str, stdin: str = "") -> CompletedProcess[str]:
        """As its author or its platform owner."""
        config = f"--kubeconfig={self._folder / f'{self.namespace}-{person}'}"
        return run("kubectl", config, *arguments, stdin=stdin)

    def apply(self, person: str, manifest: str) -> str:
        """Apply in its own namespace, which it may; what kubectl says."""
        done = self.kubectl(person, "apply", "--namespace", self.namespace, "--filename=-", stdin=manifest)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def nats(self, role: Role, acts: list[dict[str, Any]]) -> list[Any]:
        """Do something as a NATS user of its own: what came of each act."""
        where = [f"nats://{NATS}", f"/nats/{role}", self.names.inbox(role)]
        answer: list[Any] = json.loads(in_pod(self.namespace, "tenant", ON_NATS, *where, json.dumps(acts)))
        return answer

    def last(self, stream: str, subject: str) -> str:
        """Where its last message on a subject stands in a stream of its own; empty: there is none."""
        act = {"subject": f"$JS.API.DIRECT.GET.{stream}", "body": json.dumps({"last_by_subj": subject})}
        [answer] = self.nats(Role.RUNTIME, [act])
        assert answer["status"] in ("", "404"), answer
        return str(answer["sequence"])

    def http(self, *requests: dict[str, Any]) -> list[int]:
        """Ask from its pod, all at once: the status of each, 0 for no answer."""
        answer: list[int] = json.loads(in_pod(self.namespace, "tenant", OVER_HTTP, json.dumps(requests)))
        return answer

    def says(self, kind: str, name: str, condition: str, reason: str) -> None:
        """Until the status of an object of its own says so."""
        path = f'{{.status.conditions[?(@.type=="{condition}")].reason}}={reason}'
        wait(kind, name, self.namespace, until=f"jsonpath={path}")
