"""srv: the servers of an upstream are what SRV records say while weir runs."""
import json
import os
import subprocess
import time
from collections import Counter

from support.dns import NXDOMAIN, SERVFAIL, Dns
from support.load import Load
from support.origin import Origin, by_request
from support.weir import Weir, binary

NAME = "_http._tcp.app.test"
ON_LOOPBACK = (["127.0.0.1"], 3600)


def named(text):
    """Answers every request with its own name."""
    return by_request(lambda conn, _: conn.answer(text))


def record(origin, priority=1, weight=1, target="host.test"):
    return (priority, weight, int(origin.address.rsplit(":", 1)[1]), target)


def dns_with(*records, ttl=1):
    return Dns({NAME: (list(records), ttl), "host.test": ON_LOOPBACK})


def weir_for(dns, upstream=None, **options):
    return Weir(upstreams={"app": {"srv": NAME, **(upstream or {})}},
                sites=[{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}],
                environment=dns.environment(), **options)


def app_health(weir):
    return json.loads(weir.admin("/health")[1])["upstreams"]["app"]


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_members_come_and_go_under_load_without_a_failed_request():
    """AS-03, AS-04: one in and one out, then 2 to 6 and back."""
    origins = [Origin(named(str(i))) for i in range(6)]
    try:
        with dns_with(*map(record, origins[:2])) as dns, \
                weir_for(dns, workers=2,
                         listener={"connection": {"requests": 1000000}}) as weir:
            with Load(lambda: weir.client().request) as load:
                sets = [origins[1:3], origins[2:4], origins, origins[:2]]
                for chosen in sets:
                    dns.names[NAME] = ([record(origin) for origin in chosen], 1)
                    ports = {"host.test:%d" % record(origin)[2] for origin in chosen}
                    wait_until(lambda: {server["address"] for server in
                                        app_health(weir)["servers"]} == ports)
            assert load.failures == []
            assert len(load.done) > 500
            assert all(origin.requests for origin in origins)
            assert weir.metric("weir_upstream_members_changes_total", upstream="app") == 4
            assert weir.metric("weir_upstream_failures_total") == 0
    finally:
        for origin in origins:
            origin.stop()


def test_priorities_are_backups_and_weights_count():
    with Origin(named("one")) as one, Origin(named("two")) as two, \
            Origin(named("backup")) as backup:
        records = record(one, 10, 3), record(two, 10, 0), record(backup, 20, 9)
        with dns_with(*records) as dns, weir_for(dns, {"balance": "round_robin"}) as weir:
            bodies = Counter(weir.get().body for _ in range(40))
            assert bodies == {b"one": 30, b"two": 10}  # a weight of 0 is 1
            dns.names[NAME] = ([record(backup, 20, 9)], 1)  # now the lowest there is
            wait_until(lambda: weir.get().body == b"backup")
            dns.names[NAME] = (list(records), 1)
            wait_until(lambda: weir.get().body == b"one")
            one.stop()
            two.stop()
            wait_until(lambda: weir.get().body == b"backup")  # both have failed once
            assert {weir.get().body for _ in range(4)} == {b"backup"}


def test_a_failing_name_keeps_the_last_servers_and_says_so_once():
    with Origin(named("one")) as one, Origin(named("two")) as two:
        with dns_with(record(one)) as dns, weir_for(dns) as weir:
            for failure in (NXDOMAIN, ([], 1), SERVFAIL):
                since = len(weir.lines)
                dns.names[NAME] = failure
                weir.wait_line("srv: is not followed: .*the last good servers stay", since=since)
                wait_until(lambda: "reason" in app_health(weir))
                assert app_health(weir)["reason"].startswith("srv is not followed: ")
                assert weir.get().body == b"one"
                asked = dns.asked.count(NAME)
                if failure == NXDOMAIN:  # asked again, and silent about the same
                    wait_until(lambda: dns.asked.count(NAME) > asked)
                    time.sleep(1.5)
                    assert len([li for li in weir.lines if "is not followed" in li]) == 1
                    weir.reload()  # no new start from nothing, either
                    assert weir.get().body == b"one"
                dns.names[NAME] = ([record(one)], 1)
                wait_until(lambda: "reason" not in app_health(weir))
            dns.names[NAME] = ([record(two)], 1)
            wait_until(lambda: weir.get().body == b"two")


def test_a_first_answer_that_comes_late_and_a_service_that_is_not_offered():
    with Origin(named("one")) as one, dns_with() as dns:
        dns.names[NAME] = None  # silence
        with weir_for(dns) as weir:
            assert any("srv: is not followed: no answer yet" in line for line in weir.lines)
            answer = weir.get()
            assert answer.status == 503 and answer.get("retry-after")
            assert app_health(weir)["status"] == "unhealthy"
            dns.names[NAME] = ([record(one)], 1)
            wait_until(lambda: weir.get().body == b"one", 40)
            dns.names[NAME] = ([(0, 0, 0, "")], 1)
            wait_until(lambda: weir.get().status == 503)
            assert app_health(weir)["reason"] == "srv says that the service is not offered"
            dns.names[NAME] = ([record(one)], 1)
            wait_until(lambda: weir.get().body == b"one")


def test_an_answer_that_is_too_large_for_udp_comes_by_tcp():
    """And one that breaks off there changes nothing."""
    with Origin(named("one")) as one, Origin(named("two")) as two:
        hosts = ["host-%02d.a-rather-long-name.test" % i for i in range(20)]
        records = [record(origin, target=host) for host in hosts for origin in (one, two)]
        with dns_with(*records) as dns:
            dns.names.update({host: ON_LOOPBACK for host in hosts})
            with weir_for(dns, {"balance": "round_robin"}) as weir:
                assert dns.asked_by_tcp.count(NAME) >= 1
                assert len(app_health(weir)["servers"]) == len(records)
                assert Counter(weir.get().body for _ in range(40)) == {b"one": 20, b"two": 20}
                dns.cuts_tcp = True
                weir.wait_line("srv: is not followed: .*the last good servers stay", seconds=60)
                assert len(app_health(weir)["servers"]) == len(records)
                assert weir.get().status == 200
                dns.cuts_tcp = False
                dns.names[NAME] = (records[:30], 1)
                wait_until(lambda: len(app_health(weir)["servers"]) == 30, 40)


def test_a_change_of_weights_and_priorities_alone_is_told():
    with Origin(named("one")) as one, Origin(named("two")) as two:
        with dns_with(record(one, 1, 1), record(two, 1, 1)) as dns, \
                weir_for(dns, {"balance": "round_robin"}) as weir:
            dns.names[NAME] = ([record(one, 1, 3), record(two, 1, 1)], 1)
            weir.wait_line("upstream app: it has 2 servers now, 0 came, 0 left, 1 changed")
            assert Counter(weir.get().body for _ in range(40)) == {b"one": 30, b"two": 10}
            dns.names[NAME] = ([record(one, 1, 3), record(two, 2, 1)], 1)
            wait_until(lambda: {weir.get().body for _ in range(4)} == {b"one"})
            assert weir.metric("weir_upstream_members_changes_total", upstream="app") == 2


def test_explain_tells_where_servers_come_from(tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text("""
listeners: {http: {address: "127.0.0.1:8080"}}
upstreams: {app: {srv: _http._tcp.app.test}}
sites: [{hosts: ["*"], routes: [{path: /, upstream: app}]}]
""")
    with Origin(named("one")) as one, dns_with(record(one)) as dns:
        def explain():
            return subprocess.run([binary(), "explain", "-c", str(config), "http://a:8080/"],
                                  env={**os.environ, **dns.environment()}, capture_output=True,
                                  text=True, timeout=30, check=True).stdout

        assert explain().endswith(
            "upstream   app, balance least_conn\n"
            "           members by srv _http._tcp.app.test\n"
            "           host.test:%d, weight 1\n" % record(one)[2])
        dns.names[NAME] = NXDOMAIN
        assert "members by srv _http._tcp.app.test; srv is not followed: " in explain()


def test_another_resolve_while_the_name_server_is_silent_keeps_the_servers():
    with Origin(named("one")) as one:
        with dns_with(record(one)) as dns, weir_for(dns) as weir:
            assert weir.get().body == b"one"
            dns.names[NAME] = None
            weir.config["upstreams"]["app"]["resolve"] = "500ms"
            weir.write_config()
            weir.reload()
            assert weir.get().body == b"one"
            assert app_health(weir)["reason"] == "srv is not followed: no answer yet"
            dns.names[NAME] = ([record(one)], 1)
            wait_until(lambda: "reason" not in app_health(weir), 40)
