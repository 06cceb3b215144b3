"""Who is let in, and who is not."""

import socket

import pytest

from voxseed.errors import InputError
from voxseed.server.address import address, bind, is_allowed_host

LOOPBACK = "127.0.0.1:8765"
READ = "/api/cases"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic the-token"}, 401),
        ({"Cookie": "voxseed-8765=wrong"}, 401),
        ({"Cookie": "voxseed-8766=the-token"}, 401),
        ({"Authorization": "Bearer the-token"}, 200),
        ({"Cookie": "voxseed-8765=the-token"}, 200),
        ({"Cookie": "voxseed-8765=the-token", "Host": "localhost:8765"}, 200),
        ({"Cookie": "voxseed-8765=the-token", "Host": "evil.example:8765"}, 421),
        ({"Cookie": "voxseed-8765=the-token", "Host": "127.0.0.1"}, 421),
        ({"Cookie": "voxseed-8765=the-token", "Host": "127.0.0.1:80"}, 421),
        ({"Cookie": "voxseed-8765=the-token", "Origin": "http://evil.example"}, 403),
        ({"Cookie": "voxseed-8765=the-token", "Origin": "null"}, 403),
        ({"Cookie": "voxseed-8765=the-token", "Origin": "http://127.0.0.1:9000"}, 403),
        ({"Authorization": "Bearer the-token", "Origin": "https://127.0.0.1:8765"}, 403),
        ({"Cookie": "voxseed-8765=the-token", "Origin": "http://127.0.0.1:8765"}, 200),
    ],
    ids=str,
)
def test_who_may_read(connect, headers, expected):
    assert connect(**headers).get(READ).status_code == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Cookie": "voxseed-8765=the-token"}, 403),  # as a form of another page sends it
        ({"Cookie": "voxseed-8765=the-token", "Origin": "http://evil.example"}, 403),
        ({"Cookie": "voxseed-8765=the-token", "Origin": "http://127.0.0.1:8765"}, 200),
        ({"Authorization": "Bearer the-token"}, 200),
    ],
    ids=str,
)
def test_who_may_write(connect, headers, expected):
    assert connect(**headers).post("/api/cases/case_0/claim", json={"client": "a"}).status_code == expected


def test_the_opened_address_gives_a_cookie_and_loses_the_token(connect):
    client = connect()
    entered = client.get("/?token=the-token")
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.get("/").status_code == 200
    assert connect().get("/?token=wrong").status_code == 401
    assert connect().get("/api/cases?token=the-token").status_code == 401


def test_every_answer_has_the_policy(connect, api):
    for answer in (api.get("/"), api.get(READ), api.get("/nothing"), connect().get("/")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "'unsafe-eval'" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("stream", [False, True])
def test_a_large_body_is_refused_before_it_is_used(api, stream):
    content = b'{"client": "' + b"a" * 200_000 + b'"}'
    body = iter([content[:100_000], content[100_000:]]) if stream else content  # streamed: no length is announced
    answer = api.post("/api/cases/case_0/claim", content=body)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/..%2f..%2fetc%2fpasswd",
        "/page/../../../pyproject.toml",
        "/api/cases/..%2f..%2fetc",
        "/api/cases/..",
        "/api/cases/%2e%2e/painted",
        "/api/cases/%00",
        "/api/cases/case_0%2f../channels/0",
        "/api/cases/case_0/channels/1",
        "/api/cases/case_0/channels/-1",
        "/api/cases/annotations.json/painted",
        "/docs",
    ],
)
def test_no_path_leads_anywhere_else(api, path):
    assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    ("header", "host", "expected"),
    [
        ("127.0.0.1:8765", "127.0.0.1", True),
        ("localhost:8765", "127.0.0.1", True),
        ("[::1]:8765", "127.0.0.1", True),
        ("example.org:8765", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("192.168.1.7:8765", "192.168.1.7", True),
        ("localhost:8765", "192.168.1.7", False),
        ("10.0.0.5:8765", "0.0.0.0", True),
        (f"{socket.gethostname()}:8765", "0.0.0.0", True),
        ("rebound.example:8765", "0.0.0.0", False),
    ],
)
def test_names_of_the_server(header, host, expected):
    assert is_allowed_host(header, host, 8765) is expected


def test_a_taken_port_is_refused_only_if_it_was_asked_for():
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}: cannot be listened on"):
            bind("127.0.0.1", port)
    with bind("127.0.0.1", None) as any_port:
        assert any_port.getsockname()[1] > 0
    with pytest.raises(InputError, match="cannot be listened on"):
        bind("192.0.2.1", 0)


def test_address_to_open():
    assert address("0.0.0.0", 1, "t") == "http://127.0.0.1:1/?token=t"
    assert address("::1", 1, "t") == "http://[::1]:1/?token=t"
