"""maintenance: closed by a file or by an operator, while everybody else is served."""
import json
import os
import time
import urllib.error
import urllib.request

import pytest
from support.origin import Origin
from support.raw import RawClient
from support.weir import Weir

WAIT_S = 15


def routes(folder):
    return [
        {"path": "=/health", "respond": {"body": "healthy\n"}, "maintenance": "off"},
        {"path": "/shop/", "upstream": "app", "cors": {"origins": ["https://app.test"]},
         "maintenance": {"name": "shop", "file": f"{folder}/shop", "retry_after": "10m",
                         "allow": ["127.0.0.9"]}},
        {"path": "/", "upstream": "app"},
    ]


@pytest.fixture(name="pair")
def closable(tmp_path):
    page = tmp_path / "closed.html"
    page.write_text("<h1>closed</h1> $status")
    with Origin() as origin, Weir(
            upstreams={"app": {"servers": [{"address": origin.address}]}},
            defaults={"security_headers": "standard"},
            sites=[{"hosts": ["a.test"], "error_pages": {503: str(page)},
                    "maintenance": {"file": f"{tmp_path}/all"}, "routes": routes(tmp_path)},
                   {"hosts": ["b.test"], "routes": [{"path": "/", "upstream": "app"}]}]) as weir:
        yield weir, origin, tmp_path


def get(weir, target="/", host="a.test", headers=(), source=None, method="GET"):
    with weir.client(source=source) as client:
        return client.request(method, target, headers, b"", host)


def wait_for(weir, status, target="/", seconds=WAIT_S):
    deadline = time.monotonic() + seconds
    while (response := get(weir, target)).status != status:
        assert time.monotonic() < deadline, response
        time.sleep(0.02)
    return response


def post(weir, body, path="/maintenance"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{weir.admin_address}{path}", data=data, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def status_of(weir, name):
    status, text = weir.admin("/status")
    assert status == 200
    return [one for one in json.loads(text)["maintenance"] if one["name"] == name][0]


def test_who_waits_to_be_told_to_go_on_is_told(pair):
    weir, _, _ = pair
    host, _, port = weir.admin_address.rpartition(":")
    body = json.dumps({"name": "no such thing", "on": True}).encode()
    with RawClient((host, int(port))) as client:
        client.send(b"POST /maintenance HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(body))
        assert client.response(skip_1xx=False).status == 100
        client.send(body)
        assert 400 <= client.response().status < 500


def test_a_file_closes_a_site_and_opens_it_again(pair):
    weir, origin, folder = pair
    assert get(weir).status == 200
    (folder / "all").touch()
    closed = wait_for(weir, 503)
    assert closed.body == b"<h1>closed</h1> 503"
    assert closed.get("Retry-After") == "300" and closed.get("Cache-Control") == "no-store"
    assert closed.get("X-Content-Type-Options") == "nosniff"
    assert closed.get("Proxy-Status") == "weir; error=http_request_denied"
    seen = len(origin.requests)
    assert get(weir, "/nowhere", method="POST").status == 503
    assert len(origin.requests) == seen
    assert get(weir, "/health").body == b"healthy\n"  # `off` on its route
    assert get(weir, host="b.test").status == 200
    assert get(weir, "/shop/x").status == 200  # the nearest level wins whole
    assert status_of(weir, "a.test") == {"name": "a.test", "on": True, "by": ["file"],
                                         "file": f"{folder}/all", "retry_after_s": 300}
    metrics = weir.metrics()
    assert metrics['weir_maintenance{name="a.test"}'] == 1
    assert metrics['weir_maintenance{name="shop"}'] == 0
    os.remove(folder / "all")
    wait_for(weir, 200)
    assert weir.log_of("/nowhere")[0]["error"] == "weir: refused: maintenance"
    weir.wait_line("maintenance of a.test: on")
    weir.wait_line("maintenance of a.test: .* is gone, off")


def test_a_file_that_is_there_at_the_start_or_a_reload(pair):
    weir, _, folder = pair
    (folder / "all").touch()
    weir.reload()
    assert get(weir).status == 503  # at once: looked at before the configuration is in force
    weir.reload()
    assert get(weir).status == 503
    assert len([line for line in weir.lines if "maintenance of a.test: on" in line]) == 1


def test_testers_get_in(pair):
    weir, _, folder = pair
    (folder / "shop").touch()
    closed = wait_for(weir, 503, "/shop/x")
    assert closed.get("Retry-After") == "600"
    assert get(weir, "/shop/x", source="127.0.0.9").status == 200
    # A page can read that the shop is closed, and ask whether it is.
    origin = [("Origin", "https://app.test")]
    assert get(weir, "/shop/x", headers=origin).get("Access-Control-Allow-Origin") == (
        "https://app.test")
    asked = origin + [("Access-Control-Request-Method", "GET")]
    assert get(weir, "/shop/x", headers=asked, method="OPTIONS").status == 204


def test_the_admin_closes_and_opens_and_reloads_keep_it(pair):
    weir, _, folder = pair
    status, answer = post(weir, {"name": "shop", "state": "on"})
    assert (status, answer["on"], answer["by"]) == (200, True, ["admin"])
    assert get(weir, "/shop/x").status == 503
    weir.reload()
    assert get(weir, "/shop/x").status == 503
    (folder / "shop").touch()
    deadline = time.monotonic() + WAIT_S
    while status_of(weir, "shop")["by"] != ["file", "admin"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    status, answer = post(weir, {"name": "shop", "state": "off"})
    assert (status, answer["on"], answer["warning"]) == (
        200, True, "its file is there: it is still closed")
    os.remove(folder / "shop")
    wait_for(weir, 200, "/shop/x")
    assert json.loads(weir.admin("/maintenance")[1]) == json.loads(
        weir.admin("/status")[1])["maintenance"]
    weir.wait_line("admin: maintenance of shop: on; asked for by 127.0.0.1")


def test_a_name_that_leaves_the_configuration_is_open_when_it_comes_back(pair):
    weir, _, _ = pair
    assert post(weir, {"name": "shop", "state": "on"})[0] == 200
    shop = weir.config["sites"][0]["routes"][1]
    kept = shop.pop("maintenance")
    weir.write_config()
    weir.reload()
    assert get(weir, "/shop/x").status == 200
    shop["maintenance"] = kept
    weir.write_config()
    weir.reload()
    assert get(weir, "/shop/x").status == 200
    assert status_of(weir, "shop")["on"] is False


def test_what_the_admin_cannot_do(pair):
    weir = pair[0]
    assert post(weir, {"name": "nobody", "state": "on"})[0] == 404
    for bad in (b"x", b"{}", {"name": "shop"}, {"name": "shop", "state": "open"},
                {"name": 1, "state": "on"}, {"name": "shop", "state": "on", "x": 1}):
        status, answer = post(weir, bad)
        assert status == 400 and answer["error"], bad
    assert post(weir, b"x" * 5000)[0] == 413
    assert weir.admin("/maintenance", method="DELETE")[0] == 405
    assert status_of(weir, "shop")["on"] is False


def test_what_is_under_way_is_finished(pair):
    weir, _, _ = pair
    with weir.client() as client:
        client.send("POST /shop/x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nab")
        weir.wait_metric("requests_in_flight", 1)
        assert post(weir, {"name": "shop", "state": "on"})[0] == 200
        client.send("cd")
        assert client.response().json()["body"] == "abcd"
        assert client.request("GET", "/shop/y", host="a.test").status == 503
