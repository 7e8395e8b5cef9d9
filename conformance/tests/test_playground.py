"""The Playground's page: who is served it, with which headers, and what stays the API's."""

from __future__ import annotations

import re
import socket
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.sdk import http_client, httpx
from harness.server import Adjutant

pytestmark = pytest.mark.once
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8", "authorization": ""}
KEY = "right-key-number-one"


@pytest.fixture
def browser(server: Adjutant, ledger: Ledger) -> httpx.Client:
    """Asks as browsers do for what stands in the address bar."""
    return as_browser(server, ledger)


def as_browser(server: Adjutant, ledger: Ledger) -> httpx.Client:
    client = http_client(server.address, ledger)
    client.headers.update(BROWSER)
    return client


def policy(page: httpx.Response) -> dict[str, list[str]]:
    parts = page.headers["content-security-policy"].split(";")
    return {name: values for name, *values in (part.split() for part in parts)}


def assets(page: httpx.Response) -> list[str]:
    return re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text)


@pytest.mark.parametrize(
    "path",
    ["/", "/assistants", "/assistants/asst_abc", "/threads/thread_abc?step=1", "/nowhere/at/all"],
)
def test_a_browser_gets_the_page_on_every_path_of_its_own(browser: httpx.Client, path: str) -> None:
    """The app finds by the path what to show, so that a link can be shared."""
    page = browser.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-cache"
    assert assets(page)


def test_what_no_browser_asks_for_stays_the_apis(
    browser: httpx.Client, http: httpx.Client, server: Adjutant
) -> None:
    """Whose base URL lacks `/v1` is told so in JSON; a browser finds no page below `/v1`."""
    answers = [
        http.get(f"{server.address}/assistants", headers={"accept": "application/json"}),
        http.post(f"{server.address}/", json={}),
        http.post(f"{server.address}/threads", json={}),
        browser.get("/v1/nowhere"),
        browser.get("/openai/nowhere"),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert {answer.json()["error"]["type"] for answer in answers} == {"invalid_request_error"}
    assert browser.get("/v1/assistants").json()["object"] == "list"
    assert browser.get("/health/live").text == "ok"


def test_parts_are_kept_for_ever_and_come_compressed(browser: httpx.Client) -> None:
    for path in assets(browser.get("/")):
        part = browser.get(path, headers={"accept-encoding": "gzip"})
        assert part.headers["content-encoding"] == "gzip"
        assert part.headers["cache-control"] == "public, max-age=31536000, immutable"
        kind = "text/css" if path.endswith(".css") else "text/javascript"
        assert part.headers["content-type"].startswith(kind)
        plain = browser.get(path, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert part.content == plain.content


def test_a_part_that_is_gone_is_not_the_page(browser: httpx.Client) -> None:
    """A page from before an update would else run HTML for a script."""
    gone = browser.get("/assets/index-00000000.js")
    assert (gone.status_code, gone.headers["content-type"]) == (404, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "path",
    ["/../Cargo.toml", "/assets/../../package.json", "/%2e%2e/package.json", "//etc/passwd"],
)
def test_no_path_leads_out_of_the_playground(server: Adjutant, path: str) -> None:
    host, _, port = server.address.removeprefix("http://").partition(":")
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404"), answer


def test_the_page_can_load_and_send_nothing_elsewhere(browser: httpx.Client) -> None:
    page, again = browser.get("/"), browser.get("/threads")
    allowed = policy(page)
    nonces = [value for value in allowed.pop("style-src") if value != "'self'"]
    assert allowed == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    # Of one page's styles nobody can tell another's nonce.
    [nonce] = [re.fullmatch(r"'nonce-(\w{32})'", value)[1] for value in nonces]
    assert f'nonce="{nonce}"' in page.text
    assert nonce not in again.text and "CSP_NONCE" not in again.text


def test_parts_have_a_policy_of_their_own(browser: httpx.Client) -> None:
    for path in ["/", *assets(browser.get("/")), "/assets/nowhere.js"]:
        headers = browser.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]


def test_what_the_api_answers_is_never_taken_for_a_page(http: httpx.Client) -> None:
    assert http.get("/assistants").headers["x-content-type-options"] == "nosniff"


def test_the_page_may_call_the_server_that_it_came_from(
    browser: httpx.Client, server: Adjutant
) -> None:
    own = {"origin": server.address, "sec-fetch-site": "same-origin"}
    assert browser.post("/v1/threads", headers=own, json={}).status_code == 200


def test_another_page_learns_nothing(browser: httpx.Client) -> None:
    for path in ("/", "/v1/assistants"):
        answer = browser.get(path, headers={"origin": "https://example.com"})
        assert "access-control-allow-origin" not in answer.headers


def test_the_page_needs_no_key_and_has_no_way_around_one(
    servers: Any, db: str, ledger: Ledger
) -> None:
    guarded = servers.shared(db, ADJUTANT_API_KEYS=f"{KEY},right-key-number-two")
    browser = as_browser(guarded, ledger)
    page = browser.get("/")
    assert page.status_code == 200
    assert KEY not in page.text
    assert browser.get("/v1/assistants").status_code == 401
    named = {"authorization": f"Bearer {KEY}"}
    assert browser.get("/v1/assistants", headers=named).status_code == 200


def test_it_can_be_left_out(servers: Any, db: str, ledger: Ledger) -> None:
    without = as_browser(servers.shared(db, ADJUTANT_PLAYGROUND="false"), ledger)
    for path in ("/", "/assistants"):
        answer = without.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]["type"] == "invalid_request_error"
