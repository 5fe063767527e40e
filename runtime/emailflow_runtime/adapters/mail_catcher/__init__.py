"""The mail catcher of `emailflow dev`: takes every mail over SMTP on loopback, keeps it, sends nothing on.

It stands in for a provider, so it may say 250 only for what is stored.
"""

from emailflow_runtime.adapters.mail_catcher.catcher import MailCatcher, NotLoopback, PortInUse

__all__ = ["MailCatcher", "NotLoopback", "PortInUse"]
