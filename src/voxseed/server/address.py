"""Where the page is served: a socket, the names under which a browser may call it, and the address to open."""

import ipaddress
import socket

from voxseed.errors import InputError

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8765
"""The same each time if it is free, so that a browser keeps what it could not send to a server that was killed."""

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


def bind(host: str, port: int | None) -> socket.socket:
    """A listening socket.

    Args:
        host: address or name of this machine.
        port: None takes `DEFAULT_PORT`, or any free one if that is taken; so does 0.

    Raises:
        InputError: if the host is not of this machine, or the port is taken.
    """
    if port is not None:
        return _bound(host, port)
    try:
        return _bound(host, DEFAULT_PORT)
    except InputError:
        return _bound(host, 0)


def address(host: str, port: int, token: str) -> str:
    """What to open in a browser; the token lets it in."""
    name = LOOPBACK if _is_any(host) else host
    return f"http://{_in_address(name)}:{port}/?token={token}"


def is_allowed_host(header: str, host: str, port: int) -> bool:
    """Whether a request's Host is one under which this server may be called.

    A name that somebody else's name server turns into this machine's address is not. A server on all addresses
    accepts addresses, which no name server can claim, and the machine's own name.

    Args:
        header: the request's Host.
        host: that the server listens on.
        port: that the server listens on.
    """
    name, _, given_port = header.rpartition(":")
    if given_port != str(port):
        return False
    name = name.removeprefix("[").removesuffix("]").lower()
    if _is_any(host):
        return name in ("localhost", socket.gethostname().lower()) or _is_address(name)
    return name == host.lower() or (host in _LOOPBACK_NAMES and name in _LOOPBACK_NAMES)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # at once: whoever opens the printed address early waits instead of being refused
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"--host {host}, port {port}: cannot be listened on ({reason}). Choose another with --port or --host."
        ) from None
    return listener


def _is_any(host: str) -> bool:
    return host in ("0.0.0.0", "::")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _in_address(name: str) -> str:
    return f"[{name}]" if ":" in name else name
