"""The client's side of SMTP without a socket: replies are parsed, commands are written, outcomes are drawn.

A dialogue is a generator: it yields what to send and is sent the replies, one by one (RFC 5321, 2920). So
every order of events can be tried in memory. Nothing here may do I/O or know what time it is.
"""
