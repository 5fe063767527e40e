"""Lists beside the watches: what a watch has missed is found, and a deaf one is noticed."""

from typing import Any

from emailflow_operator.adapters.servers import Servers
from emailflow_operator.control.survey import DEAF_AFTER, Survey
from emailflow_operator.control.workers import Workers
from emailflow_operator.control.world import Options, World
from emailflow_operator.errors import KubernetesRefused
from emailflow_operator.reconcile.children.settings import Image
from emailflow_operator.reconcile.cluster import name_of

from .conftest import flow, runtime


class Lists:
    """An API server that only lists; the real one is asked in tests/integration/operator."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = {each["metadata"]["name"]: each for each in objects}
        self.refused: dict[str, int] = {}

    async def list(
        self, path: str, *, names_only: bool = False, selector: str = "", name: str = ""
    ) -> list[dict[str, Any]]:
        plural = path.rpartition("/")[2]
        if plural in self.refused:
            raise KubernetesRefused(self.refused[plural], "refused")
        wanted = [name] if name else list(self.objects)
        found = [self.objects[each] for each in wanted if each in self.objects]
        return [each for each in found if f"{each['kind'].lower()}s" == plural]


def survey_of(lists: Lists) -> tuple[World, Survey]:
    options = Options(namespace="system", identity="me", image=Image("emailflow:1"))
    world = World(options, lists, Servers(), None)  # type: ignore[arg-type]
    return world, Survey(world, Workers(world))


def changed(value: dict[str, Any], version: str) -> dict[str, Any]:
    return {**value, "metadata": {**value["metadata"], "resourceVersion": version}}


async def test_everything_is_seen_once() -> None:
    world, survey = survey_of(Lists(runtime(), flow()))
    await survey.first()
    assert [name_of(each) for each in world.cluster.of("EmailFlow")] == [("mail", "hello")]


async def test_a_change_that_the_watch_brings_later_is_not_missed() -> None:
    lists = Lists(flow())
    world, survey = survey_of(lists)
    await survey.first()
    lists.objects["hello"] = changed(flow(suspend=True), "2")
    await survey.again()
    world.cluster.put("EmailFlow", lists.objects["hello"])
    await survey.again()
    assert world.measures.missed_changes == 0


async def test_what_the_watch_never_brings_is_read() -> None:
    lists = Lists(flow())
    world, survey = survey_of(lists)
    await survey.first()
    lists.objects["hello"] = changed(flow(suspend=True), "2")
    lists.objects["new"] = flow("new")
    for _ in range(2):
        await survey.again()
    assert world.cluster.get("EmailFlow", "mail", "hello")["spec"]["suspend"] is True
    assert world.cluster.get("EmailFlow", "mail", "new") is not None
    lists.objects.clear()
    for _ in range(2):
        await survey.again()
    assert list(world.cluster.of("EmailFlow")) == []


async def test_a_watch_that_goes_on_missing_is_deaf() -> None:
    lists = Lists(flow())
    _, survey = survey_of(lists)
    await survey.first()
    for version in range(2, 2 + 2 * DEAF_AFTER + 1):
        lists.objects["hello"] = changed(flow(), str(version))
        await survey.again()
    assert survey.is_deaf


async def test_a_definition_that_is_not_there_yet_is_no_trouble() -> None:
    lists = Lists(runtime())
    lists.refused["emailflows"] = 404
    world, survey = survey_of(lists)
    await survey.first()
    assert world.cluster.get("EmailRuntime", "mail", "default") is not None


async def test_namespaces_that_may_not_be_read_are_done_without() -> None:
    lists = Lists(runtime())
    lists.refused["namespaces"] = 403
    _, survey = survey_of(lists)
    await survey.first()
    assert not survey.reads_namespaces


async def test_an_object_that_keeps_changing_is_not_missed() -> None:
    lists = Lists(flow())
    world, survey = survey_of(lists)
    await survey.first()
    for version in range(2, 10):
        world.cluster.put("EmailFlow", lists.objects["hello"])  # the watch is one change behind
        lists.objects["hello"] = changed(flow(), str(version))
        await survey.again()
    assert world.measures.missed_changes == 0


async def test_who_begins_to_lead_catches_up_at_once() -> None:
    lists = Lists(flow(), flow("gone"))
    world, survey = survey_of(lists)
    await survey.first()
    lists.objects["hello"] = changed(flow(suspend=True), "2")
    lists.objects["new"] = flow("new")
    del lists.objects["gone"]
    await survey.catch_up()
    assert sorted(name for _, name in map(name_of, world.cluster.of("EmailFlow"))) == ["hello", "new"]
    assert world.cluster.get("EmailFlow", "mail", "hello")["spec"]["suspend"] is True
    assert world.measures.missed_changes == 0
