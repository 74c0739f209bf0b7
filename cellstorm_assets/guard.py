"""What stands before every request to a page, and lets through only what is meant for it.

The Dagster page has no login, answers to any name and obeys requests that other web pages in the
same browser send; the MLflow page trusts every page of this machine. So each server runs inside a
`Guard`, which lets through only requests to a known name, from the page itself, with the token.
"""

import html
import secrets
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

import uvicorn
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cellstorm_assets.access import LOOPBACK, Access

#: Where the form of a browser without the token is sent.
TOKEN_PATH = "/cellstorm-token"  # noqa: S105 - a path
_MOST_FORM_BYTES = 4096
_STOP_S = 5
_GRAPHQL_KINDS = {"application/json", "application/graphql"}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>cellstorm</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{head}
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}}
input,button{{font:inherit;padding:.4rem .6rem}}input{{width:22rem;max-width:100%}}</style>
</head><body>{body}</body></html>"""
_ASK = """<h1>This page asks for a token</h1><p>Open the address that <code>cellstorm ui</code>
printed when it was started, or give the token in it here.</p>
<form method="post" action="{path}"><input name="token" type="password" autofocus
autocomplete="off" aria-label="token"> <button>Open</button></form><p>{remark}</p>"""


class Guard:
    """ASGI middleware around a page.

    Parameters
    ----------
    app : ASGI application
        The page.
    access : Access
        What it asks for.
    closed : iterable of str
        Beginnings of paths that are never answered.
    """

    def __init__(self, app: ASGIApp, access: Access, *, closed: Iterable[str] = ()) -> None:
        self._app = app
        self._access = access
        self._closed = tuple(closed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request; what is no request is handed on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            if self._refusal(scope) is None and self._is_known(Headers(scope=scope)):
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            guarded = _with_headers(send)
            response = self._refusal(scope) or await self._asked(scope, receive)
            await (response or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that is not meant for this page, or not from it."""
        headers = Headers(scope=scope)
        host = headers.getlist("host")
        if len(host) != 1 or host[0].lower() not in self._access.hosts:
            return _refused(
                "this page does not answer to that name; open the address that cellstorm ui "
                "printed, or give the name with --address"
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in self._access.origins:
            return _refused("requests from other pages are refused")
        if origin is None and _is_from_elsewhere(scope, headers):
            return _refused("requests from other pages are refused")
        path = scope["path"]
        if path.startswith(self._closed):
            return _refused("this part of the page is switched off")
        return _graphql_refusal(scope, headers)

    async def _asked(self, scope: Scope, receive: Receive) -> Response | None:
        """Return None for those with the token; let others show it, or ask for it."""
        request = Request(scope, receive)
        if request.url.path == TOKEN_PATH and request.method == "POST":
            return await self._by_form(request)
        shown = request.query_params.get("token")
        if shown is not None and request.method == "GET" and self._is_token(shown):
            return self._welcome(request)
        if self._is_known(request.headers):
            return None
        return _ask("" if shown is None else "That was not the token.")

    async def _by_form(self, request: Request) -> Response:
        """Answer a form that shows the token."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST_FORM_BYTES:
                return PlainTextResponse("too long\n", 413)
        values = parse_qs(body.decode("ascii", "replace")).get("token", [""])
        if not self._is_token(values[0].strip()):
            return _ask("That was not the token.")
        return self._with_cookie(RedirectResponse("/", 303))

    def _welcome(self, request: Request) -> Response:
        """Give the browser its cookie, and lead it to the same place without the token.

        By a page of our own: after a plain redirection from elsewhere the browser would not send
        the new cookie along.
        """
        others = [entry for entry in parse_qsl(request.url.query) if entry[0] != "token"]
        path = "/" + request.url.path.lstrip("/")
        target = html.escape(path + (f"?{urlencode(others)}" if others else ""), quote=True)
        head = f'<meta http-equiv="refresh" content="0; url={target}">'
        body = f'<p><a href="{target}">Go on</a></p>'
        return self._with_cookie(_own_page(head, body))

    def _with_cookie(self, response: Response) -> Response:
        """Return a response that hands the browser its cookie."""
        response.set_cookie(
            self._access.cookie,
            self._access.token,
            httponly=True,
            samesite="strict",
            secure=self._access.is_secure,
        )
        return response

    def _is_known(self, headers: Headers) -> bool:
        """Return whether a request carries the token, as a cookie or for programs."""
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(shown.strip()):
            return True
        return any(
            self._is_token(cookie_parser(text).get(self._access.cookie, ""))
            for text in headers.getlist("cookie")
        )

    def _is_token(self, text: str) -> bool:
        """Compare in a time that tells nothing."""
        return secrets.compare_digest(text.encode(), self._access.token.encode())


def _graphql_refusal(scope: Scope, headers: Headers) -> Response | None:
    """Refuse commands to Dagster in an address, which any link could hold, and in forms."""
    if scope["type"] != "http" or not scope["path"].rstrip("/").endswith("/graphql"):
        return None
    if scope["method"] != "POST":
        return PlainTextResponse("use POST\n", 405, {"Allow": "POST"})
    if headers.get("content-type", "").partition(";")[0] not in _GRAPHQL_KINDS:
        return PlainTextResponse("send JSON\n", 415)
    return None


def _is_from_elsewhere(scope: Scope, headers: Headers) -> bool:
    """Return whether a browser says that another page asks, other than by a link to open here."""
    if headers.get("sec-fetch-site", "none") not in {"cross-site", "same-site"}:
        return False
    return not (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _refused(sentence: str) -> Response:
    """Return a refusal with its reason."""
    return PlainTextResponse(f"{sentence}\n", 403)


def _ask(remark: str) -> Response:
    """Return the page that asks for the token."""
    return _own_page("", _ASK.format(path=TOKEN_PATH, remark=html.escape(remark)), 401)


def _own_page(head: str, body: str, status: int = 200) -> Response:
    """Return a page of our own, which nothing may run on and nobody may keep."""
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    }
    return HTMLResponse(_PAGE.format(head=head, body=body), status, headers)


def _with_headers(send: Send) -> Send:
    """Return a `send` that adds what browsers are to be strict about."""

    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            headers: Any = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return adding


def serve_app(app: ASGIApp, *, port: int) -> None:
    """Serve a guarded page on a port of this machine, and of no other, until told to stop."""
    uvicorn.run(
        app,
        host=LOOPBACK,
        port=port,
        log_level="warning",
        access_log=False,  # addresses may hold the token
        server_header=False,
        timeout_graceful_shutdown=_STOP_S,
    )
