"""Tokens and key sets made by hand, with openssl for what is no HMAC."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import time

SECRET = "a secret of forty-eight bytes or more, for HS384 too"
HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
HALVES = {"ES256": 32, "ES384": 48, "ES512": 66}


def b64(data):
    data = data if isinstance(data, bytes) else data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**more):
    return {"sub": "u1", "exp": int(time.time()) + 600, **more}


def hs(payload, secret=SECRET, alg="HS256", **header):
    """`payload`: a value, or text that is to be signed as it stands."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    message = f'{b64(json.dumps({"alg": alg, **header}))}.{b64(text)}'
    digest = HASHES[alg[2:]] if alg.startswith("HS") else hashlib.sha256
    mac = hmac.new(secret.encode(), message.encode(), digest).digest()
    return f"{message}.{b64(mac)}"


def openssl(*arguments, stdin=b""):
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True,
                          check=True).stdout


class Key:
    """A private key of openssl's, and its public half as a JWK."""

    MAKE = {"RSA": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            "P-256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            "P-384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            "P-521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
            "Ed25519": ["-algorithm", "ED25519"], "Ed448": ["-algorithm", "ED448"]}

    def __init__(self, kind, folder, kid):
        self.kind = kind
        self.kid = kid
        self.path = os.path.join(folder, f"{kid}.pem")
        openssl("genpkey", *self.MAKE[kind], "-out", self.path)
        self.public_der = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")

    def jwk(self, **more):
        if self.kind == "RSA":
            line = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode()
            modulus = bytes.fromhex(line.strip().partition("=")[2])
            key = {"kty": "RSA", "n": b64(modulus), "e": "AQAB"}
        elif self.kind.startswith("P-"):
            half = {"P-256": 32, "P-384": 48, "P-521": 66}[self.kind]
            point = self.public_der[-2 * half:]
            key = {"kty": "EC", "crv": self.kind, "x": b64(point[:half]), "y": b64(point[half:])}
        else:
            size = {"Ed25519": 32, "Ed448": 57}[self.kind]
            key = {"kty": "OKP", "crv": self.kind, "x": b64(self.public_der[-size:])}
        return {**key, "kid": self.kid, **more}

    def pem(self):
        return openssl("pkey", "-in", self.path, "-pubout").decode()

    def token(self, alg, payload, **header):
        head = {"alg": alg, "kid": self.kid, **header}
        message = f"{b64(json.dumps(head))}.{b64(json.dumps(payload))}"
        return f"{message}.{b64(self._sign(alg, message.encode()))}"

    def _sign(self, alg, message):
        if alg == "EdDSA":
            plain = self.path + ".message"
            with open(plain, "wb") as file:
                file.write(message)
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", plain)
        options = []
        if alg.startswith("PS"):
            options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"]
        made = openssl("dgst", f"-sha{alg[2:]}", "-sign", self.path, *options, stdin=message)
        return _raw(made, HALVES[alg]) if alg in HALVES else made


def _raw(der, half):
    """The two numbers of an ECDSA signature, one after the other."""
    at = 3 if der[1] & 0x80 else 2
    numbers = []
    for _ in range(2):
        size = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2:at + 2 + size], "big"))
        at += 2 + size
    return b"".join(n.to_bytes(half, "big") for n in numbers)
