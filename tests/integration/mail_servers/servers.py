"""Debian's Postfix, Exim and OpenSMTPD, each in a throw-away layer over this machine's own files.

`build/mail_servers.py` has installed them; nothing outside the layers is changed. A server listens on
loopback and puts every mail into a folder of the test's.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

START_WITHIN = 20.0
LARGEST = 200_000
USER, PASSWORD = "shop", "correct horse"
SHARE = "/run/emailflow"
"""Where a server sees the test's folder."""

_POSTFIX = r"""
cat > /etc/postfix/main.cf <<END
compatibility_level=3.6
maillog_file=/dev/stdout
inet_interfaces=127.0.0.1
inet_protocols=ipv4
myhostname=mx.example
mydestination=
virtual_mailbox_domains=example.com
virtual_mailbox_base=$SHARE/mail
virtual_mailbox_maps=static:box/
virtual_minimum_uid=1
virtual_uid_maps=static:65534
virtual_gid_maps=static:65534
smtpd_recipient_restrictions=check_recipient_access inline:{nobody@example.com=REJECT}
smtpd_relay_restrictions=reject_unauth_destination
smtpd_tls_security_level=may
smtpd_tls_chain_files=$SHARE/chain.pem
message_size_limit=$LARGEST
smtputf8_enable=yes
END
cat > /etc/postfix/master.cf <<END
127.0.0.1:$PORT inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
END
exec postfix start-fg
"""

_EXIM = r"""
cat > /etc/exim4/exim4.conf <<END
daemon_smtp_ports = $PORT
local_interfaces = 127.0.0.1
primary_hostname = mx.example
log_file_path = $SHARE/exim/%slog
keep_environment =
tls_advertise_hosts = *
tls_certificate = $SHARE/chain.pem
tls_privatekey = $SHARE/chain.pem
smtputf8_advertise_hosts = *
message_size_limit = $LARGEST
acl_smtp_rcpt = rcpt
acl_smtp_data = taken
begin acl
rcpt:
  deny message = 5.1.1 no such user
       local_parts = nobody
  accept
taken:
  accept
begin routers
sink:
  driver = accept
  transport = sink
begin transports
sink:
  driver = appendfile
  maildir_format
  directory = $SHARE/mail/box
  user = nobody
  group = nogroup
begin authenticators
$MECHANISMS
END
chown root:root /etc/exim4/exim4.conf && chmod 644 /etc/exim4/exim4.conf
mkdir -p $SHARE/exim
chown -R Debian-exim $SHARE/chain.pem $SHARE/exim
exec exim4 -bdf -q10s
"""

_PLAIN = """
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{USER}}{eq{$auth3}{PASSWORD}}}}
  server_set_id = $auth2
"""
_LOGIN = """
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{USER}}{eq{$auth2}{PASSWORD}}}}
  server_set_id = $auth1
"""

_OPENSMTPD = r"""
cat > /etc/smtpd.conf <<END
smtp max-message-size $LARGEST
table everyone { "@" = "nobody" }
listen on 127.0.0.1 port $PORT hostname mx.example
action sink maildir "$SHARE/mail/box" virtual <everyone>
match from any for rcpt-to "nobody@example.com" reject
match from any for any action sink
END
exec smtpd -d -f /etc/smtpd.conf
"""


class Kind(NamedTuple):
    """A mail server: Debian's package, how it starts, and what it offers."""

    package: str
    script: str
    utf8: bool = True
    mechanisms: str = ""


POSTFIX = Kind("postfix", _POSTFIX)
EXIM = Kind("exim4-daemon-light", _EXIM, mechanisms=_PLAIN)
EXIM_WITH_LOGIN = EXIM._replace(mechanisms=_LOGIN)
# Debian 12's OpenSMTPD (6.8) fails in TLS with OpenSSL 3, and offers AUTH through TLS only.
OPENSMTPD = Kind("opensmtpd", _OPENSMTPD, utf8=False)

_ENTER = """
set -e
mount -t overlay overlay -o lowerdir=/,upperdir=$LAYER/up,workdir=$LAYER/work $LAYER/merged
cd $LAYER/merged
mount --rbind /proc proc
mount --rbind /dev dev
mount -t tmpfs none run
mkdir -p .$SHARE
mount --bind $FOLDER .$SHARE
exec chroot . sh -c "$SCRIPT"
"""


class MailServer:
    """One server with its folder; it can be killed and started again on the same port."""

    def __init__(self, kind: Kind, layers: Path, folder: Path, chain: bytes) -> None:
        self.kind = kind
        self.port = _free_port()
        self._layer = layers / kind.package
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        shutil.rmtree(folder / "mail", ignore_errors=True)
        for each in ("new", "cur", "tmp"):
            (folder / "mail" / "box" / each).mkdir(parents=True)
        for path in (folder / "mail", *(folder / "mail").rglob("*")):
            os.chown(path, 65534, 65534)
        folder.chmod(0o755)
        (folder / "chain.pem").write_bytes(chain)

    def start(self) -> None:
        """Return when it answers."""
        mechanisms = self.kind.mechanisms.replace("USER", USER).replace("PASSWORD", PASSWORD)
        script = self.kind.script.replace("$MECHANISMS", mechanisms.replace("$", "\\$"))
        settings = {"PORT": str(self.port), "LARGEST": str(LARGEST)}
        places = {"LAYER": str(self._layer), "FOLDER": str(self._folder), "SHARE": SHARE, "SCRIPT": script}
        command = ["unshare", "--mount", "--pid", "--fork", "--propagation", "private"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "sh", "-c", _ENTER],
                stdout=log,
                stderr=log,
                env={**os.environ, **settings, **places},
            )
        deadline = time.monotonic() + START_WITHIN
        while not _answers(self.port):
            ended = self._process.poll() is not None or time.monotonic() > deadline
            assert not ended, (self._folder / "log").read_text()
            # Another process: there is no event to wait for.
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL to the first process of its namespace: the kernel kills the others with it."""
        assert self._process is not None
        pid = self._process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        self._process.wait()

    def received(self, count: int, within: float = 20.0) -> list[bytes]:
        """The mails that have arrived, once there are so many of them."""
        deadline = time.monotonic() + within
        while len(found := self._mails()) < count and time.monotonic() < deadline:
            # The server writes files; another process's folder has no event to wait for.
            time.sleep(0.05)
        return found

    def _mails(self) -> Sequence[bytes]:
        return [path.read_bytes() for path in sorted((self._folder / "mail" / "box" / "new").iterdir())]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False
