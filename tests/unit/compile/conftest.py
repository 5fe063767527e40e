"""A small, sound set of manifests, and a way to compile it with more beside it or something replaced."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

from emailflow_api.compile import Compilation, compile_resources
from emailflow_api.reading import read_documents

HEAD = "apiVersion: emailflow.dev/v1alpha1\n"
SOUND = {
    "runtime": HEAD
    + "kind: EmailRuntime\nmetadata: {name: default}\n"
    + "spec: {defaults: {providerRef: {name: relay}}, publicUrl: 'https://mail.example.com'}\n",
    "provider": HEAD
    + "kind: EmailProvider\nmetadata: {name: relay}\n"
    + "spec: {type: Smtp, smtp: {host: smtp.example.com}, from: {address: shop@example.com}}\n",
    "policy": HEAD + "kind: ContactPolicy\nmetadata: {name: offers}\nspec: {topic: offers}\n",
    "template": HEAD
    + "kind: EmailTemplate\nmetadata: {name: hello}\nspec: {subject: Hello, html: <p>Hello</p>}\n",
    "event": HEAD + "kind: EventType\nmetadata: {name: joined}\nspec: {type: com.example.joined}\n",
    "flow": HEAD
    + "kind: EmailFlow\nmetadata: {name: welcome}\n"
    + "spec:\n  trigger: {types: [com.example.joined]}\n  policyRef: {name: offers}\n"
    + "  steps:\n    - {name: greet, send: {templateRef: {name: hello}}}\n",
}

CompileText: TypeAlias = Callable[..., Compilation]


@pytest.fixture
def compile_text() -> CompileText:
    """`compile_text(flow=..., extra=..., laptop=...)`: the sound set with these manifests in its place."""

    def compile_with(
        *, extra: str = "", laptop: bool = False, for_cluster: bool = False, **replaced: str
    ) -> Compilation:
        texts = [text for text in ({**SOUND, **replaced} | {"extra": extra}).values() if text]
        documents = read_documents("---\n".join(texts), "x.yaml")
        return compile_resources(documents, laptop=laptop, for_cluster=for_cluster)

    return compile_with


@pytest.fixture
def sound() -> dict[str, str]:
    """The texts of the sound set."""
    return dict(SOUND)
