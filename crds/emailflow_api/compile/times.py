"""Time zones and durations that stand in manifests: what their patterns alone can't say."""

from emailflow_api import durations
from emailflow_api.compile.report import Report

CONTACT = "contact"
"""In the place of a zone: the contact's own."""


def check_zone(report: Report, path: str, zone: str | None) -> None:
    """Report a zone that is not in the IANA database."""
    if zone and zone != CONTACT:
        report.attempt(path, lambda: durations.zone_of(zone))


def check_duration(report: Report, path: str, duration: str | None) -> str:
    """The duration, empty where there is none. Report one that is too long to be meant."""
    if duration:
        report.attempt(path, lambda: durations.parse(duration))
    return duration or ""
