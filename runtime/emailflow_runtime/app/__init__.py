"""The machinery: loads state, calls the core, saves, sends. It knows ports, never NATS, HTTP or SMTP."""
