"""auth.jwt: which tokens are let in, and what servers are told of their bearers."""
import json
import time

import pytest
from support import tokens
from support.origin import Origin
from support.tokens import Key, b64, claims, hs
from support.weir import Weir

ISSUER = "https://id.example.com"
KINDS = {"RSA": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], "P-256": ["ES256"],
         "P-384": ["ES384"], "P-521": ["ES512"], "Ed25519": ["EdDSA"], "Ed448": ["EdDSA"]}
ALL = [alg for algs in KINDS.values() for alg in algs][:-1]


def at_server(response, name):
    return [v for n, v in response.json()["headers"] if n.lower() == name.lower()]


def bearer(token):
    return ("Authorization", f"Bearer {token}")


def get(pair, target="/", *fields, host="test"):
    with pair.client() as client:
        return client.request("GET", target, list(fields), host=host)


def jwt(**more):
    return {"jwt": {"secret": "${SECRET}", **more}}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("keys"))
    return {kind: Key(kind, folder, f"key-{kind}") for kind in KINDS}


@pytest.fixture(scope="module")
def pair(keys):
    up = {"upstream": "app"}
    routes = [
        {"path": "/hs", **up, "auth": jwt(algorithms=["HS256", "HS384"])},
        {"path": "/keys", **up, "auth": {"jwt": {"jwks": "keys.json", "algorithms": ALL}}},
        {"path": "/rs", **up, "auth": jwt(jwks="keys.json", algorithms=["RS256"])},
        {"path": "/strict", **up, "auth": jwt(
            issuer=ISSUER, audience=["api", "web"], leeway="30s", required=["exp", "iat"])},
        {"path": "/told", **up, "auth": jwt(claims_to_headers={
            "sub": "X-User", "tenantId": "X-Tenant-ID", "roles": "X-Roles",
            "realm_access.roles": "X-Realm-Roles", "n": "X-N"}, optional=True)},
        {"path": "/tenant", **up, "auth": jwt(must_match={
            "tenantId": "header:X-Tenant-ID"}, claims_to_headers={"sub": "X-User"})},
        {"path": "/host", **up, "auth": jwt(must_match={"tenantId": "subdomain"})},
        {"path": "/query", **up, "auth": jwt(must_match={"tenantId": "query:tenant"})},
        {"path": "/cookie", **up, "auth": jwt(must_match={"tenantId": "cookie:tenant"})},
        {"path": "/admin", **up, "auth": jwt(
            claims={"role": ["admin", "owner"], "permissions": "orders:write"})},
        {"path": "/scope", **up, "auth": jwt(claims={"scope": "write"})},
        {"path": "/places", **up, "auth": jwt(
            **{"from": ["header:X-Token", "cookie:session", "bearer"]}, strip=True)},
        {"path": "/user-id", **up, "auth": jwt(user_claim="userId",
                                              claims_to_headers={"userId": "X-User-Id"})},
        {"path": "/free", **up},
    ]
    with Origin() as origin:
        weir = Weir(upstreams={"app": {"servers": [{"address": origin.address}]}},
                    sites=[{"hosts": ["*"], "routes": routes}],
                    environment={"SECRET": tokens.SECRET})
        with open(f"{weir.dir}/keys.json", "w") as file:
            json.dump({"keys": [key.jwk() for key in keys.values()]}, file)
        with weir:
            yield weir


def test_a_good_token_passes_the_first_time_and_when_it_is_known(pair):
    token = hs(claims())
    for _ in range(3):
        response = get(pair, "/hs", bearer(token))
        assert response.status == 200
        assert at_server(response, "Authorization") == [f"Bearer {token}"]
    assert get(pair, "/hs", ("Authorization", f"bEARER   {token}")).status == 200
    assert get(pair, "/hs", bearer(hs(claims(), alg="HS384"))).status == 200


@pytest.mark.parametrize("kind,alg", [(k, a) for k, algs in KINDS.items() for a in algs])
def test_keys_of_every_kind(pair, keys, kind, alg):
    token = keys[kind].token(alg, claims())
    assert get(pair, "/keys", bearer(token)).status == 200
    head, payload, signature = token.split(".")
    forged = f"{head}.{b64(json.dumps(claims(sub='root')))}.{signature}"
    assert get(pair, "/keys", bearer(forged)).status == 401
    flipped = "B" if signature[5] == "A" else "A"
    assert get(pair, "/keys", bearer(
        f"{head}.{payload}.{signature[:5]}{flipped}{signature[6:]}")).status == 401


def bad_tokens():
    now = int(time.time())
    good = hs(claims())
    head, payload, signature = good.split(".")
    none = b64('{"alg":"none"}')
    return {
        "alg none": f"{none}.{payload}.", "alg none, signed": f"{none}.{payload}.{signature}",
        "alg None": f'{b64(json.dumps({"alg": "None"}))}.{payload}.',
        "unsigned": f"{head}.{payload}.", "two parts": f"{head}.{payload}",
        "other secret": hs(claims(), secret="x" * 40),
        "not listed": hs(claims(), alg="HS512"),
        "expired": hs(claims(exp=now - 1)), "no exp": hs({"sub": "a"}),
        "exp is text": hs(claims(exp=str(now + 600))), "early": hs(claims(nbf=now + 60)),
        "of the future": hs(claims(iat=now + 60)),
        "typ": hs(claims(), typ="refresh+jwt"), "crit": hs(claims(), crit=["exp"]),
        "names twice": hs('{"sub":"a","sub":"b","exp":9999999999}'),
        "no object": hs('["a"]'), "no json": hs("a"), "padded": good + "=", "dotted": good + ".",
        "long": "a" * 9000, "blanks": good.replace(".", " ."), "sub": hs(claims(sub="a\nb")),
    }


@pytest.mark.parametrize("what", bad_tokens())
def test_bad_tokens(pair, what):
    response = get(pair, "/hs", bearer(bad_tokens()[what]))
    assert response.status == 401
    challenge = response.get("WWW-Authenticate")
    assert challenge.startswith('Bearer realm="weir", error="invalid_token"')
    if what == "expired":
        assert 'error_description="the token has expired"' in challenge
    assert response.get("Cache-Control") == "no-store"


def test_no_token_at_all(pair):
    for fields in ([], [("Authorization", "Bearer")], [("Authorization", "Basic YTpi")],
                   [("X-Token", hs(claims()))], [("Cookie", f"session={hs(claims())}")]):
        response = get(pair, "/hs", *fields)
        assert response.status == 401
        assert response.get("WWW-Authenticate") == 'Bearer realm="weir"'
    response = get(pair, "/hs", bearer(hs(claims())), bearer(hs(claims())))
    assert response.status == 400
    assert 'error="invalid_request"' in response.get("WWW-Authenticate")


def test_a_public_key_is_no_secret(pair, keys):
    """The oldest trick: sign with HMAC, by the bytes of the key that everybody has."""
    key = keys["RSA"]
    for secret in (key.pem(), key.pem().strip(), json.dumps(key.jwk()), key.jwk()["n"]):
        for path in ("/keys", "/rs", "/hs"):
            for alg in ("HS256", "RS256"):
                forged = hs(claims(), secret=secret, alg=alg, kid=key.kid)
                assert get(pair, path, bearer(forged)).status == 401
    assert get(pair, "/rs", bearer(hs(claims()))).status == 401  # the secret, but not its alg
    assert get(pair, "/rs", bearer(key.token("RS256", claims()))).status == 200
    assert get(pair, "/rs", bearer(key.token("PS256", claims()))).status == 401


def test_the_named_key_and_no_other(pair, keys):
    token = keys["RSA"].token("RS256", claims(), kid="key-P-256")
    assert get(pair, "/keys", bearer(token)).status == 401
    assert get(pair, "/keys", bearer(keys["RSA"].token("RS256", claims(), kid="x"))).status == 401
    before = pair.metric("weir_auth_refused_total", method="jwt", reason="key")
    assert before >= 2


def test_issuer_audience_and_dates(pair):
    now = int(time.time())

    def status(**more):
        payload = claims(iat=now, iss=ISSUER, aud="api", **{})
        payload.update(more)
        payload = {k: v for k, v in payload.items() if v is not None}
        return get(pair, "/strict", bearer(hs(payload))).status
    assert status() == 200
    assert status(aud=["x", "web"]) == 200
    assert status(exp=now - 20) == 200
    assert status(nbf=now + 20) == 200
    for more in ({"iss": ISSUER + "/"}, {"iss": None}, {"aud": "ap"}, {"aud": []}, {"aud": None},
                 {"exp": now - 40}, {"nbf": now + 40}, {"iat": None}, {"iss": [ISSUER]}):
        assert status(**more) == 401, more


def test_claims_in_fields(pair):
    token = hs(claims(tenantId="t1", roles=["a", "b"], realm_access={"roles": ["x"]}, n=7))
    response = get(pair, "/told", bearer(token), ("X-User", "root"), ("x_tenant_id", "t2"),
                   ("X-N", "1"), ("X-n", "2"))
    seen = {n.lower(): v for n, v in response.json()["headers"] if n.lower().startswith("x-")}
    assert {k: v for k, v in seen.items() if k in (
        "x-user", "x-tenant-id", "x-roles", "x-realm-roles", "x-n")} == {
        "x-user": "u1", "x-tenant-id": "t1", "x-roles": "a,b", "x-realm-roles": "x", "x-n": "7"}
    assert not [n for n, _ in response.json()["headers"] if "_" in n]
    assert len(at_server(response, "X-N")) == 1


@pytest.mark.parametrize("target", ["/told", "/hs", "/free"])
def test_what_no_token_says_no_client_says(pair, target):
    """With no token, with one that lacks the claim, and on routes of the site without auth."""
    spoofed = [("X-User", "root"), ("X-Tenant-ID", "t2"), ("X_User", "root"), ("x-roles", "admin")]
    for token in ([bearer(hs(claims(sub=None)))] if target != "/hs" else []) + [
            bearer(hs(claims(sub="")))]:
        response = get(pair, target, token, *spoofed)
        assert response.status == 200
        for name in ("X-User", "X-Tenant-ID", "X_User", "X-Roles"):
            assert at_server(response, name) == []
    if target == "/hs":
        return
    response = get(pair, target, *spoofed)
    assert response.status == 200
    assert not [n for n, _ in response.json()["headers"]
                if n.lower().replace("_", "-") in ("x-user", "x-tenant-id", "x-roles")]


def test_optional_is_no_licence_for_bad_tokens(pair):
    assert get(pair, "/told").status == 200
    assert get(pair, "/told", bearer(hs(claims(exp=1)))).status == 401
    assert get(pair, "/told", bearer("x")).status == 401
    for blank in ("\t", " \t", "\t "):
        assert get(pair, "/told", ("Authorization", f"Bearer{blank}forged")).status == 401


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", " a", "a ", "a\x7fb"])
def test_a_claim_that_no_field_can_carry(pair, value):
    response = get(pair, "/told", bearer(hs(claims(tenantId=value))))
    assert response.status == 403


def test_claims_that_have_commas_or_other_letters(pair):
    response = get(pair, "/told", bearer(hs(claims(sub="Jörg", roles=["a,b", "c"]))))
    assert at_server(response, "X-Roles") == ['["a,b","c"]']
    assert [v.encode("latin-1").decode() for v in at_server(response, "X-User")] == ["Jörg"] or \
        at_server(response, "X-User") == ["Jörg"]


def test_tenants_do_not_see_each_other(pair):
    token = bearer(hs(claims(tenantId="t1")))
    response = get(pair, "/tenant", token, ("X-Tenant-ID", "t1"))
    assert response.status == 200 and at_server(response, "X-Tenant-ID") == ["t1"]
    response = get(pair, "/tenant", token)  # told all the same
    assert response.status == 200 and at_server(response, "X-Tenant-ID") == ["t1"]
    for spoofed in ([("X-Tenant-ID", "t2")], [("X_Tenant_Id", "t2")], [("X-Tenant-ID", "")],
                    [("X-Tenant-ID", "t1"), ("X-Tenant-ID", "t2")], [("X-Tenant-ID", "t1,t2")]):
        response = get(pair, "/tenant", token, *spoofed)
        assert response.status == 403, spoofed
        assert 'error="insufficient_scope"' in response.get("WWW-Authenticate")
    assert get(pair, "/tenant", bearer(hs(claims())), ("X-Tenant-ID", "t1")).status == 403
    assert get(pair, "/tenant", ("X-Tenant-ID", "t1")).status == 401

    assert get(pair, "/host", token, host="t1.example.com").status == 200
    assert get(pair, "/host", token, host="T1.example.com:80").status == 200
    for host in ("t2.example.com", "example.com", "t1", "xt1.example.com"):
        assert get(pair, "/host", token, host=host).status == 403, host
    assert get(pair, "/host", bearer(hs(claims())), host="t1.example.com").status == 403

    assert get(pair, "/query?tenant=t1&a=b", token).status == 200
    assert get(pair, "/query?ten%61nt=%741", token).status == 200
    assert get(pair, "/query", token).status == 200
    for query in ("tenant=t2", "tenant=t1&tenant=t2", "ten%61nt=t2", "tenant"):
        assert get(pair, f"/query?{query}", token).status == 403, query


@pytest.mark.parametrize("claim", [{}, {"tenantId": None}, {"tenantId": ""}, {"tenantId": [""]}])
def test_a_token_of_no_tenant_is_nobodys(pair, claim):
    token = bearer(hs(claims(**claim)))
    for target, sent in (("/tenant", []), ("/tenant", [("X-Tenant-ID", "")]), ("/query", []),
                         ("/query?tenant", []), ("/query?tenant=", []), ("/cookie", []),
                         ("/cookie", [("Cookie", "tenant=")]), ("/host", [])):
        response = get(pair, target, token, *sent, host="t1.test")
        assert response.status == 403, (target, sent)


def test_a_cookie_that_has_to_match(pair):
    token = bearer(hs(claims(tenantId="t1")))
    for cookie in ([], [("Cookie", "a=b; tenant=t1")]):
        assert get(pair, "/cookie", token, *cookie).status == 200
    for cookie in ("tenant=t2", "tenant=", "tenant=t1; tenant=t2"):
        assert get(pair, "/cookie", token, ("Cookie", cookie)).status == 403, cookie


def test_who_may(pair):
    """No token is 401; a good one that does not allow it 403."""
    ok = {"role": "admin", "permissions": ["orders:read", "orders:write"]}
    assert get(pair, "/admin").status == 401
    assert get(pair, "/admin", bearer(hs(claims(**ok)))).status == 200
    assert get(pair, "/admin", bearer(hs(claims(**{**ok, "role": ["x", "owner"]})))).status == 200
    for more in ({"role": "user"}, {"role": "admin,owner"}, {"role": None}, {"role": "adm"},
                 {"permissions": "orders"}, {"permissions": ["orders:writ"]},
                 {"permissions": ["a,orders:write"]}, {"permissions": {"orders:write": True}}):
        response = get(pair, "/admin", bearer(hs(claims(**{**ok, **more}))))
        assert response.status == 403, more
        assert 'error="insufficient_scope"' in response.get("WWW-Authenticate")
    assert get(pair, "/scope", bearer(hs(claims(scope="read write")))).status == 200
    assert get(pair, "/scope", bearer(hs(claims(scope=["write"])))).status == 200
    assert get(pair, "/scope", bearer(hs(claims(scope="readwrite")))).status == 403


def test_places_where_a_token_may_stand(pair):
    good, bad = hs(claims()), hs(claims(exp=1))
    response = get(pair, "/places", ("X-Token", good), bearer("x"))
    assert response.status == 200
    assert at_server(response, "X-Token") == at_server(response, "Authorization") == []
    assert get(pair, "/places", ("Cookie", f"a=b; session={good}")).status == 200
    assert get(pair, "/places", bearer(good)).status == 200
    assert get(pair, "/places", ("X-Token", bad), bearer(good)).status == 401
    assert get(pair, "/places", ("Cookie", f"session={good}; session={good}")).status == 400
    assert get(pair, "/places", ("X-Token", good), ("X-Token", good)).status == 400
    assert get(pair, "/places").status == 401
    # What a server may take for the field is held to the same.
    assert get(pair, "/places", ("X_Token", bad), bearer(good)).status == 401
    assert get(pair, "/places", ("X-Token", good), ("x_token", "forged")).status == 400
    response = get(pair, "/places", ("X_Token", good))
    assert response.status == 200 and at_server(response, "X_Token") == []


def test_the_claim_that_names_the_user(pair):
    response = get(pair, "/user-id", bearer(hs({"userId": 42, "exp": int(time.time()) + 60})))
    assert response.status == 200 and at_server(response, "X-User-Id") == ["42"]


def test_a_known_token_ends_when_it_ends(pair):
    token = hs(claims(exp=int(time.time()) + 2))
    assert get(pair, "/hs", bearer(token)).status == 200
    deadline = time.monotonic() + 10
    while get(pair, "/hs", bearer(token)).status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert get(pair, "/hs", bearer(token)).status == 401
    assert time.time() >= json.loads(tokens_payload(token))["exp"]


def tokens_payload(token):
    import base64
    text = token.split(".")[1]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_what_one_route_knows_is_not_what_another_accepts(pair):
    """The cache is shared by rules that are the same, and by no others."""
    token = hs(claims())
    for _ in range(2):
        assert get(pair, "/hs", bearer(token)).status == 200
        assert get(pair, "/strict", bearer(token)).status == 401
        assert get(pair, "/rs", bearer(token)).status == 401
        assert get(pair, "/keys", bearer(token)).status == 401


def test_the_log_says_why_and_never_the_token(pair):
    token = hs(claims(exp=1))
    assert get(pair, "/hs?logged", bearer(token)).status == 401
    line = pair.log_of("/hs?logged")[0]
    assert "the token has expired" in line["error"] and token not in json.dumps(line)
    assert pair.metric("weir_auth_refused_total", method="jwt", reason="expired") > 0
    status, text = pair.admin("/config")
    assert status == 200 and tokens.SECRET not in text


def test_keys_that_are_gone_after_a_reload(keys):
    with Origin() as origin:
        weir = Weir(upstreams={"app": {"servers": [{"address": origin.address}]}},
                    sites=[{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app", "auth": {
                        "jwt": {"jwks": "keys.json"}}}]}])

        def write(*kinds):
            with open(f"{weir.dir}/keys.json", "w") as file:
                json.dump({"keys": [keys[kind].jwk() for kind in kinds]}, file)
        write("RSA", "P-256")
        with weir:
            rsa, ec = keys["RSA"].token("RS256", claims()), keys["P-256"].token("ES256", claims())
            assert get(weir, "/", bearer(rsa)).status == get(weir, "/", bearer(ec)).status == 200
            write("P-256")
            weir.reload()
            assert get(weir, "/", bearer(rsa)).status == 401
            assert get(weir, "/", bearer(ec)).status == 200
