"""The port MailTransport over SMTP: sockets, TLS, time-outs and a pool of connections.

What the octets mean is core.smtp's; nothing here reads a reply.
"""

from emailflow_runtime.adapters.smtp.transport import SmtpTransport

__all__ = ["SmtpTransport"]
