"""The cache gives nobody what is another one's."""
import base64
import crypt

from support.library import FRESH, Library, cached, result
from support.weir import Weir, proxy

PASSWORD = crypt.crypt("secret", "$6$rounds=1000$saltsalt")


def test_hosts_are_kept_apart(library):
    library.set("/a")
    with cached(library) as weir:
        with weir.client() as client:
            client.request("GET", "/a", host="one.test")
            assert result(client.request("GET", "/a", host="two.test")) == "MISS"
            assert result(client.request("GET", "/a", host="ONE.test")) == "HIT"
            # Who lies about the host in other fields poisons nothing.
            client.request("GET", "/b", [("X-Forwarded-Host", "evil")], host="one.test")
            assert result(client.request("GET", "/a", [("X-Forwarded-Host", "evil")],
                                         host="one.test")) == "HIT"


def test_parts_of_the_request_in_the_key(library):
    library.answers["/t"] = lambda conn, request: conn.answer(
        request.get("X-Tenant") or "none", headers=FRESH)
    with cached(library, {"key": {"headers": ["X-Tenant"], "cookies": ["lang"]}}) as weir:
        acme = [("X-Tenant", "acme")]
        assert weir.get("/t", headers=acme).body == b"acme"
        assert weir.get("/t").body == b"none"
        other = weir.get("/t", headers=[("X-Tenant", "umbrella")])
        assert other.body == b"umbrella" and result(other) == "MISS"
        assert result(weir.get("/t", headers=acme)) == "HIT"
        assert result(weir.get("/t", headers=acme + [("Cookie", "lang=de")])) == "MISS"
        assert result(weir.get("/t", headers=acme + [("Cookie", "x=1; lang=de")])) == "HIT"


def test_authorization_needs_the_servers_word(library):
    library.set("/mine")
    library.set("/all", headers=[("Cache-Control", "public, max-age=60")])
    auth = [("Authorization", "Bearer a")]
    with cached(library) as weir:
        for path, kept in (("/mine", False), ("/all", True)):
            weir.get(path, headers=auth)
            assert (result(weir.get(path, headers=auth)) == "HIT") == kept


def test_vary_keeps_answers_apart(library):
    library.answers["/v"] = lambda conn, request: conn.answer(
        request.get("Accept-Language") or "none", headers=FRESH + [("Vary", "Accept-Language")])
    german, french = [("Accept-Language", "de")], [("Accept-Language", "fr")]
    with cached(library) as weir:
        assert weir.get("/v", headers=german).body == b"de"
        assert weir.get("/v", headers=french).body == b"fr"
        for who, body in ((german, b"de"), (french, b"fr")):
            again = weir.get("/v", headers=who)
            assert result(again) == "HIT" and again.body == body
        assert result(weir.get("/v", headers=[("accept-language", " DE ")])) == "HIT"
        assert weir.get("/v").body == b"none"


def test_answers_that_vary_by_different_fields(library):
    def by_one_of_two(conn, request):
        name = "X-One" if request.get("X-One") else "X-Two"
        conn.answer(f"{name}={request.get(name)}", headers=FRESH + [("Vary", name)])

    library.answers["/v"] = by_one_of_two
    asked = [[(name, value)] for value in "12" for name in ("X-One", "X-Two")]
    with cached(library) as weir:
        for times in range(3):
            for headers in asked:
                response = weir.get("/v", headers=headers)
                assert response.body.decode() == "=".join(headers[0])
                assert result(response) == ("HIT" if times else "MISS")
        assert library.count("/v") == len(asked)


def test_an_answer_without_vary_stands_behind_those_with_one(library):
    def forgetful(conn, request):
        language = request.get("Accept-Language")
        vary = [("Vary", "Accept-Language")] if language else []
        conn.answer(language or "default", headers=FRESH + vary)

    library.answers["/v"] = forgetful
    with cached(library) as weir:
        german = [("Accept-Language", "de")]
        assert weir.get("/v", headers=german).body == b"de"
        for cache in ("MISS", "HIT"):
            plain = weir.get("/v")
            assert plain.body == b"default" and result(plain) == cache
            again = weir.get("/v", headers=german)
            assert again.body == b"de" and result(again) == "HIT"


def test_of_several_that_fit_the_latest_is_taken(library):
    def changed(conn, request):
        first = request.get("X-Two") is None
        conn.answer("first" if first else "second",
                    headers=FRESH + [("Vary", "X-One" if first else "X-Two")])

    library.answers["/v"] = changed
    one, two = ("X-One", "1"), ("X-Two", "2")
    with cached(library) as weir:
        assert weir.get("/v", headers=[one]).body == b"first"
        assert weir.get("/v", headers=[two]).body == b"second"
        for headers, body in (([one], b"first"), ([one, two], b"second"), ([two], b"second")):
            response = weir.get("/v", headers=headers)
            assert response.body == body and result(response) == "HIT"


def test_a_server_that_varies_no_more_has_hits(library):
    german = [("Accept-Language", "de")]
    library.set("/v", b"de", [("Cache-Control", "max-age=0"), ("Vary", "Accept-Language"),
                              ("ETag", '"1"')])
    with cached(library) as weir:
        weir.get("/v", headers=german)
        library.set("/v", b"all")
        for cache in ("MISS", "HIT"):
            response = weir.get("/v", headers=german)
            assert response.body == b"all" and result(response) == cache
        assert weir.metric("weir_cache_objects") == 1


def test_each_side_of_a_split_has_its_own(library):
    one, two = library, Library()
    one.set("/a", b"one")
    two.set("/a", b"two")
    split = {"key": "cookie:sid", "override": {"header": "X-Side"},
             "to": [{"upstream": "one", "weight": 50}, {"upstream": "two", "weight": 50}]}
    with Weir(upstreams={"one": {"servers": [{"address": one.origin.address}]},
                         "two": {"servers": [{"address": two.origin.address}]}},
              sites=[{"hosts": ["*"], "routes": [{"path": "/", "split": split, "cache": {}}]}]
              ) as weir:
        for side in ("one", "two", "one", "two"):
            assert weir.get("/a", headers=[("X-Side", side)]).body == side.encode()
        assert one.count("/a") == two.count("/a") == 1
    two.origin.stop()


def test_who_was_proved_by_auth_gets_nobody_elses(library, tmp_path):
    users = tmp_path / "users"
    users.write_text(f"ann:{PASSWORD}\nbob:{PASSWORD}\n")
    library.answers["/a"] = lambda conn, request: conn.answer(
        request.get("X-User") or "none", headers=FRESH)
    auth = {"basic": {"users_file": str(users), "strip": True, "user_header": "X-User"}}

    def as_user(weir, name):
        proof = base64.b64encode(f"{name}:secret".encode()).decode()
        return weir.get("/a", headers=[("Authorization", f"Basic {proof}")])

    with cached(library, route={"auth": auth}) as weir:
        assert as_user(weir, "ann").body == b"ann" and as_user(weir, "bob").body == b"bob"
    with cached(library, {"key": {"user": "subject"}}, route={"auth": auth}) as weir:
        for name in ("ann", "bob", "ann", "bob"):
            response = as_user(weir, name)
            assert response.body == name.encode()
        assert result(response) == "HIT"


def test_an_unknown_user_is_not_keyed_with_others(library):
    library.answers["/a"] = lambda conn, request: conn.answer(
        request.get("Authorization") or "none", headers=FRESH)
    # Of a route this would be an error.
    with proxy(library.origin, site={"cache": {"key": {"user": "subject"}}}) as weir:
        weir.wait_line(r"sites\[0\]\.cache\.key\.user: no route has an auth")
        for name in ("ann", "bob"):
            response = weir.get("/a", headers=[("Authorization", f"Bearer {name}")])
            assert response.body == f"Bearer {name}".encode() and result(response) == "BYPASS"


def test_routes_that_share_a_url_share_no_answers(library):
    beta = Library()
    library.set("/a", b"app")
    beta.set("/a", b"beta")
    routes = [{"path": "/", "match": {"header": {"X-Version": "v2"}}, "upstream": "beta",
               "cache": {}},
              {"path": "/", "upstream": "app", "cache": {}}]
    with Weir(upstreams={"app": {"servers": [{"address": library.origin.address}]},
                         "beta": {"servers": [{"address": beta.origin.address}]}},
              sites=[{"hosts": ["*"], "routes": routes}]) as weir:
        for _ in range(2):
            assert weir.get("/a", headers=[("X-Version", "v2")]).body == b"beta"
            assert weir.get("/a").body == b"app"
    beta.origin.stop()


def test_an_answer_by_what_weir_told_the_server_is_not_kept(library):
    library.answers["/a"] = lambda conn, request: conn.answer(
        request.get("X-Tenant"), headers=FRESH + [("Vary", "X-Tenant")])
    route = {"headers": {"request": {"set": {"X-Tenant": "$client_ip"}}}}
    with cached(library, route=route) as weir:
        for _ in range(2):
            assert result(weir.get("/a")) == "MISS"


def test_fields_for_one_client_are_for_that_one(library):
    library.set("/a", headers=[("Cache-Control", 'max-age=60, no-cache="Set-Cookie"'),
                               ("Set-Cookie", "sid=1")])
    with cached(library) as weir:
        first, second = weir.get("/a"), weir.get("/a")
        assert first.get("Set-Cookie") == "sid=1" and result(second) == "HIT"
        assert second.get("Set-Cookie") is None
