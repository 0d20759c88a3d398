"""servers_file: an orchestrator changes the servers of an upstream while weir runs."""
import json
import os
import re
import signal
import threading
import time

from support.load import Load
from support.origin import Origin, by_request
from support.weir import Weir


def named(text):
    """Answers every request with its own name."""
    return by_request(lambda conn, _: conn.answer(text))


class Members:
    """The file, written as orchestrators do: beside, then renamed."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "app.json")

    def write(self, *origins, **keys):
        text = json.dumps([{"address": origin.address, **keys} for origin in origins])
        self.write_text(text)

    def write_text(self, text):
        with open(self.path + ".new", "w") as file:
            file.write(text)
        os.rename(self.path + ".new", self.path)


def weir_for(members, upstream=None, **options):
    return Weir(upstreams={"app": {"servers_file": members.path, **(upstream or {})}},
                sites=[{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}], **options)


def series_of_servers(weir):
    names = ("weir_upstream_server_up", "weir_upstream_requests_total")
    return {re.search(r'server="([^"]+)"', series)[1] for series in weir.metrics()
            if series.partition("{")[0] in names}


def changes(weir):
    return len([line for line in weir.lines if " servers now, " in line])


def wait_changes(weir, count, seconds=15):
    deadline = time.monotonic() + seconds
    while changes(weir) < count:
        assert time.monotonic() < deadline, "\n".join(weir.lines[-20:])
        time.sleep(0.02)


def until(weir, wanted, seconds=15):
    deadline = time.monotonic() + seconds
    while (answer := weir.get()).body.decode() != wanted:
        assert time.monotonic() < deadline, f"still {answer.status} {answer.body}"
        time.sleep(0.05)


def test_members_come_and_go_under_load_without_a_failed_request(tmp_path):
    """AS-03, AS-04: twenty changes, one in and one out, then 2 to 10 and back."""
    origins = [Origin(named(str(i))) for i in range(10)]
    members = Members(tmp_path)
    members.write(*origins[:2])
    try:
        unending = {"connection": {"requests": 1000000}}
        with weir_for(members, workers=2, listener=unending) as weir:
            with Load(lambda: weir.client().request) as load:
                sets = [[origins[i % 10], origins[(i + 1) % 10]] for i in range(1, 19)]
                for count, chosen in enumerate(sets + [origins, origins[:2]], 1):
                    members.write(*chosen)
                    wait_changes(weir, count)
            assert load.failures == []
            assert len(load.done) > 1000
            assert all(origin.requests for origin in origins)
            assert weir.metric("weir_upstream_members_changes_total", upstream="app") == 20
            assert weir.metric("weir_upstream_failures_total") == 0
            # Who left is forgotten; with the next change, if it was busy just then.
            members.write(*origins[:3])
            wait_changes(weir, 21)
            wanted = {origin.address for origin in origins[:3]}
            deadline = time.monotonic() + 10  # until the workers have let go of them
            while (left := series_of_servers(weir) - wanted):
                assert time.monotonic() < deadline, left
                time.sleep(0.1)
    finally:
        for origin in origins:
            origin.stop()


def test_a_request_under_way_at_a_member_that_left_ends_in_peace(tmp_path):
    asked, released = threading.Event(), threading.Event()

    def slow(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        asked.set()
        assert released.wait(15)
        conn.send(b"half")

    members = Members(tmp_path)
    with Origin(by_request(slow)) as one, Origin(named("two")) as two:
        members.write(one)
        with weir_for(members) as weir, weir.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert asked.wait(10)
            members.write(two)
            wait_changes(weir, 1)
            assert weir.get().body == b"two"
            released.set()
            assert client.response().body == b"halfhalf"
            assert client.request().body == b"two"


def test_a_broken_file_keeps_the_last_good_members(tmp_path):
    members = Members(tmp_path)
    with Origin(named("one")) as one, Origin(named("two")) as two:
        members.write(one)
        with weir_for(members) as weir:
            for number, text in enumerate(("[{address: 1}", "[]", '[{"address": "x"}]'), 1):
                since = len(weir.lines)
                members.write_text(text)
                line = weir.wait_line("is not followed: .*the last good servers stay", since=since)
                assert members.path in line
                assert weir.metric("weir_upstream_members_file_errors_total",
                                   upstream="app") == number
                assert weir.get().body == b"one"
                health = json.loads(weir.admin("/health")[1])["upstreams"]["app"]
                assert health["reason"].startswith("servers_file is not followed: ")
                assert health["status"] == "healthy"
            os.unlink(members.path)
            weir.wait_line("cannot be read: No such file")
            weir.reload()  # no new start from nothing, either
            assert weir.get().body == b"one"
            members.write(two)
            until(weir, "two")
            assert "reason" not in json.loads(weir.admin("/health")[1])["upstreams"]["app"]
            assert len([li for li in weir.lines if "reload: " in li]) == 1


def test_a_file_that_is_not_there_at_the_start_is_a_down_upstream(tmp_path):
    members = Members(tmp_path)
    with Origin(named("one")) as one:
        with weir_for(members) as weir:
            assert any("upstreams.app.servers_file: is not followed: " in li for li in weir.lines)
            answer = weir.get()
            assert answer.status == 503 and answer.get("retry-after")
            status, text = weir.admin("/health")
            assert status == 503 and json.loads(text)["upstreams"]["app"]["status"] == "unhealthy"
            members.write(one)
            until(weir, "one")


def test_static_servers_stay_and_the_symlinks_of_a_config_map_are_followed(tmp_path):
    """Kubernetes: app.json -> ..data/app.json, ..data -> a folder, which is swapped."""
    with Origin(named("static")) as static, Origin(named("one")) as one, \
            Origin(named("two")) as two:
        for folder, origin in (("v1", one), ("v2", two)):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "app.json").write_text(json.dumps([{"address": origin.address}]))
        os.symlink("v1", tmp_path / "..data")
        os.symlink("..data/app.json", tmp_path / "app.json")
        upstream = {"servers": [{"address": static.address}], "balance": "round_robin"}
        with weir_for(Members(tmp_path), upstream) as weir:
            assert {weir.get().body for _ in range(4)} == {b"static", b"one"}
            os.symlink("v2", tmp_path / "..new")
            os.rename(tmp_path / "..new", tmp_path / "..data")
            wait_changes(weir, 1)
            assert {weir.get().body for _ in range(4)} == {b"static", b"two"}


def test_an_unfinished_edit_of_the_configuration_does_not_go_live_with_members(tmp_path):
    members = Members(tmp_path)
    with Origin(named("one")) as one, Origin(named("two")) as two:
        members.write(one)
        with weir_for(members) as weir:
            weir.write_config("upstreams: [")
            members.write(two)
            until(weir, "two")
            weir.config["sites"][0]["routes"][0] = {"path": "/", "respond": {"body": "edited"}}
            weir.write_config()
            members.write(one)
            until(weir, "one")
            weir.reload()
            assert weir.get().body == b"edited"


def test_a_change_that_only_a_failed_reload_has_seen_is_followed(tmp_path):
    members = Members(tmp_path)
    with Origin(named("one")) as one, Origin(named("two")) as two:
        members.write(one)
        with weir_for(members) as weir:
            assert weir.get().body == b"one"
            weir.write_config(json.dumps({**weir.config, "nonsense": 1}))
            weir.pause()
            members.write(two)
            weir.signal(signal.SIGHUP)
            weir.signal(signal.SIGCONT)
            weir.wait_line("reload: failed")
            until(weir, "two")


def test_members_that_cannot_be_taken_over_are_told_and_tried_again(tmp_path):
    members = Members(tmp_path)
    path = str(tmp_path / "taken")
    with Origin(named("one")) as one, Origin(named("two")) as two:
        members.write(one)
        with weir_for(members) as weir:
            weir.config["listeners"]["unix"] = {"address": f"unix:{path}"}
            weir.write_config()
            weir.reload()
            os.unlink(path)  # it would be made again, if that were possible
            os.mkdir(path)
            members.write(two)
            weir.wait_line("members: not followed: .*tried again in 2 s")
            assert weir.get().body == b"one"
            health = json.loads(weir.admin("/health")[1])["upstreams"]["app"]
            assert "cannot be taken over" in health["reason"]
            assert weir.metric("weir_upstream_members_file_errors_total", upstream="app") >= 1
            os.rmdir(path)
            until(weir, "two")
            assert "reason" not in json.loads(weir.admin("/health")[1])["upstreams"]["app"]


def test_a_change_of_keys_alone_is_told(tmp_path):
    members = Members(tmp_path)
    with Origin(named("one")) as one, Origin(named("two")) as two:
        members.write(one, two)
        with weir_for(members, {"balance": "round_robin"}) as weir:
            members.write_text(json.dumps([{"address": one.address, "weight": 3},
                                           {"address": two.address, "max_fails": 5}]))
            weir.wait_line("upstream app: it has 2 servers now, 0 came, 0 left, 2 changed")
            bodies = [weir.get().body for _ in range(40)]
            assert bodies.count(b"one") == 30 and bodies.count(b"two") == 10
            assert weir.metric("weir_upstream_members_changes_total", upstream="app") == 1


def test_a_member_that_comes_starts_slowly(tmp_path):
    members = Members(tmp_path)
    with Origin(named("one")) as one, Origin(named("two")) as two:
        members.write(one)
        with weir_for(members, {"balance": "round_robin", "slow_start": "1h"}) as weir:
            members.write(one, two)
            wait_changes(weir, 1)
            bodies = [weir.get().body for _ in range(200)]
            assert 0 < bodies.count(b"two") < 60  # a tenth of its half, by lot


def test_what_is_known_of_a_member_survives_a_change(tmp_path):
    members = Members(tmp_path)
    with Origin(named("one")) as one, Origin(named("two")) as two:
        dead = Origin(named("dead"))
        dead.stop()
        keys = {"max_fails": 1, "fail_timeout": "1h"}
        members.write(one, dead, **keys)
        with weir_for(members) as weir:
            for _ in range(4):
                assert weir.get().status == 200
            assert weir.metric("weir_upstream_server_up", server=dead.address) == 0
            members.write(one, two, dead, **keys)
            wait_changes(weir, 1)
            assert weir.metric("weir_upstream_server_up", server=dead.address) == 0
            assert weir.metric("weir_upstream_failures_total", server=dead.address) == 1
