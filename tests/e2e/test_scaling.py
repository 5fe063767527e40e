"""Runtime pods come and go under load: `kubectl scale`, there and back, and every event is one mail."""

from tests.e2e import cluster, events
from tests.e2e.cluster import Sink, kubectl, wait
from tests.e2e.conftest import apply_example, start_producer


def test_a_runtime_scaled_under_load_mails_every_event_once(release: str, witness: Sink) -> None:
    cluster.make_namespace("wide")
    apply_example("wide", {"shards": 4})
    pod = start_producer("wide")
    with events.load("wide", pod, "load", events.sign_up("NAME")) as accepted:
        for replicas in (3, 1):
            kubectl("scale", "emailruntime/default", f"--replicas={replicas}", "--namespace", "wide")
            replaced = f"jsonpath={{.status.replicas}}={replicas}"
            wait("deployment", "emailruntime-default", "wide", until=replaced)
            rollout = ("rollout", "status", "deployment/emailruntime-default", "--timeout=90s")
            kubectl(*rollout, "--namespace", "wide")
            after = events.sign_up(f"after{replicas}")
            assert events.post("wide", pod, after, attempts=60) == [202]
            assert witness.mails(f"after{replicas}@example.com", count=1, seconds=60)
    assert len(accepted) > 100
    assert witness.counts("load", distinct=len(accepted)) == {f"{name}@example.com": 1 for name in accepted}
    kubectl("delete", "namespace", "wide")
