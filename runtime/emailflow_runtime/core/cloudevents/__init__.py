"""CloudEvents 1.0: the event and its strict codecs (ADR: the CloudEvents codec). Pure."""
