"""Content hashes of templates, worked out once for each plan object."""

from collections import OrderedDict

from emailflow_api.plans import TemplatePlan, content_hash

_KEPT = 1024


class TemplateNames:
    """Remembers the hash of the plans seen last. A plan is held, so that its identity stays its own."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[TemplatePlan, str]] = OrderedDict()

    def name(self, template: TemplatePlan) -> str:
        """The template's content hash."""
        key = id(template)
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return known[1]
        name = content_hash(template)
        self._known[key] = (template, name)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return name
