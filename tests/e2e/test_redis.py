"""Redis under a running daemon: what /health and the log say when it fails, and that it comes back
by itself. Every failure is a real server's, or a fake one's that answers what no real one would."""
import json
import re
import socket
import threading
import time

import pytest

from support.redis import (RENAMED, FakeRedis, Redis, RedisError, command_bytes, free_port,
                           good_answer)
from support.tls import Certificate
from support.waiting import wait_for
from support.weir import Weir

SITES = [{"hosts": ["*"], "routes": [{"path": "/", "respond": {"status": 200, "body": "ok"}}]}]
UP, DOWN = {"status": "healthy", "reason": ""}, "degraded"


def weir_with(url, workers=1, environment=None, **redis):
    return Weir(sites=SITES, workers=workers, environment=environment,
                redis={"url": url, "timeout": "100ms", **redis})


def check_of(weir):
    status, body = weir.admin("/health")
    assert status == 200  # whatever Redis does, it is no reason to restart weir
    body = json.loads(body)
    assert body["status"] == body["checks"]["redis"]["status"]
    return body["checks"]["redis"]


def wait_up(weir):
    wait_for(lambda: check_of(weir) == UP, 20)


def wait_down(weir, words):
    """Until /health gives that reason."""
    def look():
        check = check_of(weir)
        return check["status"] == DOWN and re.search(words, check["reason"])
    wait_for(look, 20)


def told(weir, words):
    return [line for line in weir.lines if re.search(words, line)]


def errors(weir, reason):
    return weir.metric("weir_rate_limit_store_errors_total", reason=reason)


def test_it_is_used_and_what_is_written_goes_by_itself():
    with Redis() as redis, weir_with(f"redis://{redis.address}/3", workers=2) as weir:
        wait_up(weir)
        wait_for(lambda: len(redis.ask("KEYS", "*")) == 0)  # database 0 is somebody else's
        weir.wait_metric("weir_redis_up", 1)
        time.sleep(1.5)
        stats = redis.ask("INFO", "keyspace").decode()
        assert re.search(r"db3:keys=2,expires=2,", stats), stats
        assert len(told(weir, "redis .* in use, at")) == 1
        assert redis.calls("eval") == 0


def test_instances_count_each_other():
    with Redis() as redis:
        url = f"redis://{redis.address}"
        with weir_with(url, workers=2) as one:
            with weir_with(url) as two, weir_with(url, key_prefix="other:") as other:
                for weir in (one, two):
                    weir.wait_metric("weir_redis_instances", 2)
                other.wait_metric("weir_redis_instances", 1)
                redis.pause()
                wait_down(one, "no answer in time")
                assert one.metric("weir_redis_instances") == 2  # the last known number holds
                redis.go_on()
                wait_up(one)
            one.wait_metric("weir_redis_instances", 1, seconds=12)


def test_a_hang_is_noticed_and_its_end_too():
    with Redis() as redis, weir_with(f"redis://{redis.address}", workers=2) as weir:
        wait_up(weir)
        redis.pause()
        wait_down(weir, "no answer in time")
        assert errors(weir, "timeout") >= 1
        assert weir.metric("weir_redis_up") == 0
        assert weir.get().status == 200
        redis.go_on()
        wait_up(weir)
        assert len(told(weir, "not used: no answer in time")) == 1
        assert len(told(weir, "back, at")) == 1


def test_a_killed_server_and_the_next_one_at_its_port():
    port = free_port()
    with Redis(port=port) as redis, weir_with(f"redis://{redis.address}", workers=2) as weir:
        wait_up(weir)
        redis.kill()
        wait_down(weir, "the connection was closed|no connection: ECONNREFUSED")
        wait_down(weir, "no connection: ECONNREFUSED")
        with Redis(port=port):
            wait_up(weir)
            weir.wait_metric("weir_redis_instances", 1)  # scripts are loaded anew
        assert len(told(weir, "not used: no connection")) == 1


def test_it_may_start_before_redis():
    port = free_port()
    with weir_with(f"redis://127.0.0.1:{port}") as weir:
        wait_down(weir, "no connection: ECONNREFUSED")
        assert weir.get().status == 200
        with Redis(port=port):
            wait_up(weir)


def test_pauses_between_connections_grow_and_are_not_equal():
    times = []

    def hang_up(_, connection):
        times.append(time.monotonic())
        connection.shutdown(socket.SHUT_RDWR)
        raise OSError  # and reads no more of it

    with FakeRedis(hang_up) as fake, weir_with(f"redis://{fake.address}") as weir:
        wait_for(lambda: len(times) >= 8, 30)
        wait_down(weir, "the connection was closed: at once; does it want TLS")
    pauses = [after - before for before, after in zip(times, times[1:])]
    assert pauses[0] < pauses[3] < pauses[6]
    assert min(pauses) >= 0.045
    assert 1.4 <= pauses[6]


def test_the_next_address_is_used_when_one_fails():
    with Redis() as first, Redis() as second:
        url = f"redis://{first.address},127.0.0.1:{second.port}/0"
        with weir_with(url) as weir:
            wait_up(weir)
            wait_for(lambda: first.calls("evalsha") >= 1)
            first.kill()
            wait_for(lambda: second.calls("evalsha") >= 2, 20)
            wait_up(weir)


def test_a_replica_is_left_for_its_primary():
    with Redis() as primary, Redis("--replicaof", "127.0.0.1", str(primary.port)) as replica:
        with weir_with(f"redis://{replica.address},{primary.address}") as weir:
            wait_up(weir)
            assert errors(weir, "readonly") >= 1
            replica.ask("REPLICAOF", "NO", "ONE")  # a failover: they change places
            primary.ask("REPLICAOF", "127.0.0.1", str(replica.port))
            wait_for(lambda: replica.calls("evalsha") >= 3, 20)
            wait_up(weir)


def test_a_server_that_is_full():
    with Redis("--maxmemory-policy", "noeviction") as redis:
        with weir_with(f"redis://{redis.address}") as weir:
            wait_up(weir)
            redis.ask("CONFIG", "SET", "maxmemory", "1")
            wait_down(weir, "its memory is full: OOM")
            assert errors(weir, "memory") >= 1
            redis.ask("CONFIG", "SET", "maxmemory", "0")
            wait_up(weir)


def test_a_server_that_cannot_save():
    with Redis("--min-replicas-to-write", "0") as redis:
        with weir_with(f"redis://{redis.address}") as weir:
            wait_up(weir)
            redis.ask("CONFIG", "SET", "min-replicas-to-write", "1")
            wait_down(weir, "it takes no writes for now: NOREPLICAS")
            redis.ask("CONFIG", "SET", "min-replicas-to-write", "0")
            wait_up(weir)


def test_a_script_of_somebody_elses_that_never_ends():
    with Redis("--busy-reply-threshold", "50") as redis:
        with weir_with(f"redis://{redis.address}") as weir:
            wait_up(weir)
            with socket.create_connection(("127.0.0.1", redis.port)) as other:
                other.sendall(command_bytes("EVAL", "while true do end", "0"))
                wait_down(weir, "busy with a script|no answer in time")
                wait_for(lambda: kill_script(redis))
            wait_up(weir)


def kill_script(redis):
    try:
        redis.ask("SCRIPT", "KILL")
        return True
    except RedisError:
        return False


def test_a_server_that_loads():
    loading = threading.Event()
    loading.set()

    def answer(words, _):
        if loading.is_set() and words[0] == b"EVALSHA":
            return b"-LOADING Redis is loading the dataset in memory\r\n"
        return good_answer(words)

    with FakeRedis(answer) as fake, weir_with(f"redis://{fake.address}") as weir:
        wait_down(weir, "it loads its data")
        loading.clear()
        wait_up(weir)
        loading.set()  # under a connection that is in use
        wait_down(weir, "it loads its data")
        before = fake.connections
        loading.clear()
        wait_up(weir)
        assert fake.connections == before


def test_passwords():
    with Redis(password="s3cret") as redis:
        with weir_with(f"redis://{redis.address}") as weir:
            wait_down(weir, "access denied: NOAUTH")
        with weir_with(f"redis://:wrong-one@{redis.address}") as weir:
            wait_down(weir, "access denied: WRONGPASS")
            assert not told(weir, "wrong-one")
        with weir_with(f"redis://:s3cret@{redis.address}") as weir:
            wait_up(weir)
            redis.ask("CONFIG", "SET", "requirepass", "an0ther")
            redis.password = "an0ther"
            redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            wait_down(weir, "access denied: WRONGPASS")
            config = json.loads(weir.admin("/config")[1])
            assert config["redis"]["url"] == f"redis://***@{redis.address}"
            weir.config["redis"].update(url=f"redis://{redis.address}",
                                        password="${REDIS_PASSWORD:-an0ther}")
            weir.write_config()
            weir.reload()
            wait_up(weir)
            assert "an0ther" not in weir.admin("/config")[1]
        assert not [line for line in weir.lines if "s3cret" in line or "an0ther" in line]


def test_what_redis_repeats_of_a_command_is_not_shown():
    for name, url, shown in [("AUTH", "redis://:s3cretpw@", "an error: ERR, at"),
                             ("SELECT", "redis://", "an error: ERR unknown command .SELECT., at")]:
        with Redis("--rename-command", name, "") as redis:
            with weir_with(f"{url}{redis.address}/3") as weir:
                wait_down(weir, shown)
                assert not told(weir, "s3cretpw|with args")
                assert "s3cretpw" not in weir.admin("/health")[1]


def test_a_user_with_as_few_rights_as_possible():
    with Redis() as redis:
        redis.ask("ACL", "SETUSER", "weir", "on", ">p%ss@word/1", "resetkeys", "~weir:*", "-@all",
                  "+evalsha", "+script|load", "+select", "+time", "+set", "+get", "+zadd", "+zcard",
                  "+zrange", "+zremrangebyscore", "+pexpire")
        with weir_with(f"redis://weir:p%25ss%40word%2F1@{redis.address}") as weir:
            wait_up(weir)
            weir.wait_metric("weir_redis_instances", 1)
        redis.ask("ACL", "SETUSER", "weir", "-evalsha")
        with weir_with(f"redis://{redis.address}", user="weir", password="p%ss@word/1") as weir:
            wait_down(weir, "access denied: NOPERM")


def test_a_hardened_server_needs_nothing_that_is_renamed_away():
    with Redis(*RENAMED, password="hard") as redis:
        with weir_with(f"redis://:hard@{redis.address}") as weir:
            wait_up(weir)
            wait_for(lambda: redis.calls("evalsha") >= 2)
            redis.ask("SCRIPT", "FLUSH")
            before = redis.calls("zcard")
            wait_for(lambda: redis.calls("zcard") > before)  # the heartbeat has loaded it again
            assert check_of(weir) == UP
            assert redis.calls("eval") == 0


def test_over_tls_it_must_be_the_one_that_is_meant(tmp_path):
    ca = Certificate(tmp_path, "ca", alternative=None, is_ca=True)
    good = Certificate(tmp_path, "good", "DNS:localhost", issuer=ca)
    other = Certificate(tmp_path, "other", "DNS:other.test", issuer=ca)
    for shown, options, wanted in [
            (good, {"ca": ca.cert}, None),
            (other, {"ca": ca.cert}, "no TLS"),
            (other, {"ca": ca.cert, "server_name": "other.test"}, None),
            (good, {}, "no TLS"),  # none of the system's authorities
            (good, {"verify": False}, None)]:
        files = {"cert": shown.cert, "key": shown.key, "ca": ca.cert}
        with Redis(tls=files) as redis:
            with weir_with(f"rediss://localhost:{redis.port}", tls=options) as weir:
                wait_down(weir, wanted) if wanted else wait_up(weir)
                if wanted:
                    assert errors(weir, "tls") >= 1


def test_tls_on_one_side_only(tmp_path):
    certificate = Certificate(tmp_path, "own")
    files = {"cert": certificate.cert, "key": certificate.key, "ca": certificate.cert}
    with Redis(tls=files) as redis, weir_with(f"redis://{redis.address}") as weir:
        wait_down(weir, "the connection was closed: at once; does it want TLS|not Redis's")
    with Redis() as redis, weir_with(f"rediss://{redis.address}") as weir:
        wait_down(weir, "no TLS|no answer in time|the connection was closed")


def test_a_unix_socket():
    with Redis(password="un!x") as redis:
        with weir_with(f"unix://:un!x@{redis.socket_path}?db=2") as weir:
            wait_up(weir)
            wait_for(lambda: "db2:" in redis.ask("INFO", "keyspace").decode())


def huge(words, connection):
    if words[0] != b"EVALSHA":
        return good_answer(words)
    connection.sendall(b"$536870912\r\n")
    try:
        for _ in range(64):  # as much as is taken: not the half of a gigabyte
            connection.sendall(b"x" * 65536)
    except OSError:
        pass
    return None


def nested(words, _):
    return b"*1000000000\r\n" if words[0] == b"EVALSHA" else good_answer(words)


def garbage(_, __):
    return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


def unasked(words, _):
    return good_answer(words) + (b"+and more\r\n" if words[0] == b"EVALSHA" else b"")


@pytest.mark.parametrize("answer", [huge, nested, garbage, unasked])
def test_answers_that_no_redis_gives(answer):
    with FakeRedis(answer) as fake, weir_with(f"redis://{fake.address}") as weir:
        before = weir.rss_bytes()
        wait_down(weir, "an answer that is not Redis's")
        wait_for(lambda: fake.connections >= 3)
        assert errors(weir, "protocol") >= 2
        assert weir.rss_bytes() - before < 16 << 20
        assert weir.get().status == 200


def test_half_an_answer_and_then_silence():
    def answer(words, _):
        return b"*3\r\n:1\r\n$5\r\nab" if words[0] == b"EVALSHA" else good_answer(words)

    with FakeRedis(answer) as fake, weir_with(f"redis://{fake.address}") as weir:
        wait_down(weir, "no answer in time")
        wait_for(lambda: fake.connections >= 2, 20)


def test_answers_that_come_late_are_thrown_away_by_position():
    late = threading.Event()

    def answer(words, _):
        if late.is_set() and words[0] == b"EVALSHA" and words[3].endswith(b"instances"):
            time.sleep(0.4)
            return b":77\r\n"  # of a call that nobody waits for any more
        return good_answer(words)

    with FakeRedis(answer) as fake, weir_with(f"redis://{fake.address}") as weir:
        wait_up(weir)
        late.set()
        wait_for(lambda: errors(weir, "timeout") >= 2)
        late.clear()
        time.sleep(2)
        assert weir.metric("weir_redis_instances") == 1
        assert fake.connections == 1  # and none was given up for it


def test_a_reload_keeps_the_connection_or_makes_another_one():
    with Redis() as one, Redis() as two, weir_with(f"redis://{one.address}") as weir:
        wait_up(weir)
        connections = one.ask("INFO", "stats").decode().split("total_connections_received:")[1]
        weir.config["redis"]["timeout"] = "30ms"
        weir.write_config()
        weir.reload()
        assert check_of(weir) == UP
        weir.config["redis"]["url"] = f"redis://{two.address}"
        weir.write_config()
        weir.reload()
        wait_up(weir)
        wait_for(lambda: two.calls("evalsha") >= 1)
        # The first one has seen one connection of weir's, and the questions of this test.
        after = one.ask("INFO", "stats").decode().split("total_connections_received:")[1]
        assert int(after.split()[0]) == int(connections.split()[0]) + 1
        del weir.config["redis"]
        weir.write_config()
        weir.reload()
        assert json.loads(weir.admin("/health")[1])["checks"] == {}
        assert "weir_redis_up" not in weir.metrics()
