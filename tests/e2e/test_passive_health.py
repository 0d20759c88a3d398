"""What counts as a failure of a server, and who may try one that is down."""
import threading
import time

from support.origin import Origin, by_target, echo
from support.waiting import wait_for
from support.weir import Weir, proxy


def silent(conn, _):
    conn.recv()
    return False


def half(conn, _):
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    conn.recv()
    return False


ANSWERS = {"silent": silent, "half": half}


# ---- the total timeout -------------------------------------------------------------------------

def test_a_server_that_lets_the_total_time_pass_has_failed():
    with Origin(by_target(ANSWERS)) as origin, proxy(origin, route={"timeout": "1s"}) as weir:
        assert weir.get("/silent").status == 504
        assert weir.metric("weir_upstream_failures_total", reason="timeout") == 1
        assert weir.metric("weir_upstream_server_up", upstream="app") == 0


def test_a_total_timeout_in_an_answer_or_a_slow_request_is_no_failure():
    with Origin(by_target(ANSWERS)) as origin, proxy(origin, route={"timeout": "2s"}) as weir:
        assert not weir.get("/half").complete
        with weir.client() as slow:
            slow.send(b"POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")
            time.sleep(1.5)  # of 2 s: less than half is left for the server
            slow.send(b"x")
            assert slow.response().status == 504
        assert weir.metric("weir_upstream_failures_total") == 0
        assert weir.metric("weir_upstream_server_up", upstream="app") == 1


def test_who_stalls_in_a_request_is_told_so():
    with Origin(by_target(ANSWERS)) as origin, proxy(origin, route={"timeout": "500ms"}) as weir:
        with weir.client() as stalls:
            stalls.send(b"POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")
            answer = stalls.response()
        assert answer.status == 408 and answer.get("proxy-status") is None
        assert weir.log_of("/silent")[0]["error"] == "client: timeout: total timeout"
        assert weir.metric("weir_upstream_failures_total") == 0


def test_a_server_that_has_begun_its_answer_is_not_excused_by_the_request():
    retry = {"attempts": 2, "on": ["503"]}

    def begins(conn):
        conn.read_head()
        conn.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 9000\r\n\r\nhalf")
        while conn.recv():
            pass

    with Origin(begins) as origin:
        with proxy(origin, {"retry": retry}, {"timeout": "50ms"}) as weir:
            for i in range(20):  # until the server was faster than 50 ms
                with weir.client() as client:
                    client.send(b"PUT /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx" % i)
                    status = client.head()[0]
                if status != 408:
                    break
            assert status in (503, 504)
            assert not weir.log_of(f"/{i}")[0]["error"].startswith("client: timeout")


# ---- trials ------------------------------------------------------------------------------------

def test_a_request_from_before_lets_nobody_try_a_server_that_is_down():
    hanging = threading.Event()

    def hang(conn, _):
        hanging.set()
        conn.recv()
        return False

    table = {"hang": hang, "die": lambda conn, _: conn.reset(), "": lambda conn, _: conn.answer()}
    with Origin(by_target(table)) as main, Origin(echo) as spare:
        servers = [{"address": main.address, "fail_timeout": "60s"},
                   {"address": spare.address, "backup": True}]
        with Weir({"app": {"servers": servers}},
                  [{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}]) as weir:
            client = weir.client()
            client.send(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
            assert hanging.wait(10)
            assert weir.get("/die").status == 200, "the backup's"
            client.reset()
            wait_for(lambda: weir.metric("requests_in_flight") == 0)
            asked = len(main.requests)
            for _ in range(3):
                assert weir.get().status == 200
            assert len(main.requests) == asked
