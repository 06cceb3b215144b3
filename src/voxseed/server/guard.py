"""Who may ask the server for anything: checked before any request reaches the application."""

from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from secrets import compare_digest
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 8 * 2**20
"""Of a request: a stroke over the largest slice takes far less."""

_READING = ("GET", "HEAD")
_HEADERS = {
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Lets a request through if it is addressed to this server, comes from its own page, and knows the token.

    The token is in the address that is opened first, then in a cookie; programs send it as `Authorization: Bearer`.

    Args:
        app: what is guarded.
        token: random, of this start of the server.
        is_allowed_host: whether a Host names this server.
        max_body_bytes: of a request.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        is_allowed_host: Callable[[str], bool],
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._app = app
        self._token = token
        self._is_allowed_host = is_allowed_host
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        send = _with_headers(send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        body = await _received(receive, self._max_body_bytes)
        if body is None:
            await _too_large()(scope, receive, send)
            return
        await self._app(scope, _Replayed(body, receive), send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_allowed_host(host):
            return PlainTextResponse("This server is not called that. Open the address that it printed.", 421)
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return PlainTextResponse("Requests from other pages are refused.", 403)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["path"] == "/" and scope["method"] == "GET" and "token" in query:
            return self._entered(query["token"][0], host)
        if not self._knows_token(headers):
            return PlainTextResponse("Open the address that voxseed printed when it was started.", 401)
        if scope["method"] not in _READING and origin is None and "authorization" not in headers:
            return PlainTextResponse("A change without Origin is refused; programs send Authorization: Bearer.", 403)
        if int(_digits(headers.get("content-length", "0"))) > self._max_body_bytes:
            return _too_large()
        return None

    def _entered(self, token: str, host: str) -> Response:
        """From the printed address to the page, without the token in the browser's history."""
        if not self._is_token(token):
            return PlainTextResponse(
                "This address is of an earlier start. Open the one that voxseed printed last.", 401
            )
        response = RedirectResponse("/", 303)
        response.set_cookie(_cookie_name(host), self._token, httponly=True, samesite="strict", path="/")
        return response

    def _knows_token(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._is_token(given.strip())
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        morsel = cookies.get(_cookie_name(headers.get("host", "")))
        return morsel is not None and self._is_token(morsel.value)

    def _is_token(self, given: str) -> bool:
        return compare_digest(given.encode(), self._token.encode())


class _Replayed:
    """Gives a body that was received already, then whatever comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def _received(receive: Receive, max_bytes: int) -> bytes | None:
    """The whole body, whatever length was announced; None if it is larger than allowed."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > max_bytes:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return sender


def _cookie_name(host: str) -> str:
    """One per port: a browser keeps cookies per name of the machine only."""
    return f"voxseed-{_digits(host.rpartition(':')[2])}"


def _digits(text: str) -> str:
    return text if text.isascii() and text.isdigit() else "0"


def _too_large() -> Response:
    return PlainTextResponse("The request is larger than this server takes.", 413, headers={"connection": "close"})
