"""The guard before the pages lets through what is meant for them, from them, with the token."""

import warnings
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from cellstorm_assets.access import access_to, checked_address, renew_token, token_file, token_of
from cellstorm_assets.guard import TOKEN_PATH, Guard
from cellstorm_assets.project import Project
from cellstorm_lib.errors import ExportError, SettingsError

with warnings.catch_warnings():  # it asks for another package, and works with the one there is
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

HERE = "http://127.0.0.1:3000"
ELSEWHERE = "https://elsewhere.example"


async def _echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("here")
    await socket.close()


def _say(request: object) -> PlainTextResponse:
    return PlainTextResponse("the page")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(home=tmp_path)


def client_of(project: Project, *, base: str = HERE, address: str | None = None) -> TestClient:
    page = Starlette(
        routes=[
            Route("/graphql", _say, methods=["GET", "POST"]),
            WebSocketRoute("/graphql", _echo),
            Route("/{rest:path}", _say, methods=["GET", "POST"]),
        ]
    )
    access = access_to(project, port=3000, address=address)
    return TestClient(Guard(page, access, closed=("/closed",)), base_url=base)


@pytest.fixture
def client(project: Project) -> TestClient:
    return client_of(project)


@pytest.fixture
def known(project: Project) -> TestClient:
    client = client_of(project)
    client.headers["Authorization"] = f"Bearer {token_of(project)}"
    return client


def test_without_the_token_nothing_is_shown(client: TestClient) -> None:
    for path in ("/", "/graphql/x", "/?token=guess"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert "the page" not in answer.text


def test_the_token_in_the_address_becomes_a_strict_cookie(
    client: TestClient, project: Project
) -> None:
    token = token_of(project)
    answer = client.get(f"/runs?token={token}&a=<b>")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert token not in answer.text
    assert 'href="/runs?a=%3Cb%3E"' in answer.text
    assert client.get("/runs").text == "the page"


def test_the_token_may_be_given_in_a_form(client: TestClient, project: Project) -> None:
    assert client.post(TOKEN_PATH, data={"token": "guess"}).status_code == 401
    assert client.post(TOKEN_PATH, content=b"x" * 5000).status_code == 413
    assert client.post(TOKEN_PATH, data={"token": token_of(project)}).text == "the page"


def test_leading_slashes_lead_nowhere_else(client: TestClient, project: Project) -> None:
    answer = client.get(f"{HERE}//elsewhere.example/?token={token_of(project)}")
    assert 'url=/elsewhere.example/"' in answer.text


@pytest.mark.parametrize("host", ["elsewhere.example:3000", "127.0.0.1:5000", "127.0.0.1", ""])
def test_other_names_are_refused(known: TestClient, host: str) -> None:
    assert known.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("origin", [ELSEWHERE, "null", "http://127.0.0.1:5000", "http://localhost"])
def test_requests_of_other_pages_are_refused(known: TestClient, origin: str) -> None:
    assert known.post("/graphql", json={}, headers={"Origin": origin}).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        known.websocket_connect("/graphql", headers={"Origin": origin, "Host": HERE[7:]}),
    ):
        pass


@pytest.mark.parametrize(("mode", "status"), [("no-cors", 403), ("navigate", 200)])
def test_of_other_pages_only_links_lead_here(known: TestClient, mode: str, status: int) -> None:
    headers = {
        "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": "document",
    }  # fmt: skip
    assert known.get("/", headers=headers).status_code == status
    frame = {**headers, "Sec-Fetch-Dest": "iframe"}
    assert known.get("/", headers=frame).status_code == 403


def test_the_page_itself_is_answered(known: TestClient) -> None:
    headers = {"Origin": HERE, "Host": HERE[7:]}
    assert known.post("/graphql", json={}, headers=headers).text == "the page"
    with known.websocket_connect("/graphql", headers=headers) as socket:
        assert socket.receive_text() == "here"


def test_a_socket_without_the_token_is_refused(client: TestClient) -> None:
    headers = {"Origin": HERE, "Host": HERE[7:]}
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/graphql", headers=headers),
    ):
        pass


def test_commands_in_addresses_and_forms_are_refused(known: TestClient) -> None:
    assert known.get("/graphql?query=mutation").status_code == 405
    assert known.post("/graphql", data={"query": "mutation"}).status_code == 415
    assert known.get("/closed/tool").status_code == 403


def test_a_proxy_with_a_name_of_its_own_may_stand_before(project: Project) -> None:
    lab = "https://lab.example"
    client = client_of(project, base=lab, address=lab)
    client.headers["Authorization"] = f"Bearer {token_of(project)}"
    assert client.post("/graphql", json={}, headers={"Origin": lab}).text == "the page"
    assert client.get("/", headers={"Host": "other.example"}).status_code == 403
    assert "Secure" in client.get(f"/?token={token_of(project)}").headers["set-cookie"]


def test_the_token_is_its_owners_alone_and_stays_until_renewed(project: Project) -> None:
    token = token_of(project)
    assert len(token) >= 43
    assert token_of(project) == token
    assert token_file(project).stat().st_mode & 0o777 == 0o600
    assert project.private_folder.stat().st_mode & 0o777 == 0o700
    renew_token(project)
    assert token_of(project) != token


def test_a_token_that_cannot_be_kept_is_said(project: Project) -> None:
    project.private_folder.write_text("a file")
    with pytest.raises(ExportError, match="token of the pages .* cannot be used.*CELLSTORM_HOME"):
        token_of(project)


@pytest.mark.parametrize(
    "address", ["lab.example", "ftp://lab", "https://lab/path", "https://a@lab", "https://lab:x"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="looks like https://cellstorm.example.org"):
        checked_address(address)
