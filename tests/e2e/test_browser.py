"""A browser in front, an app server behind: a page of 200 parts, over HTTP/2 and TLS."""
import re
import subprocess

import pytest

from support.weir import Weir

PARTS = 200

APP = """
const http = require('http');
const parts = %d;
const page = '<!doctype html><title>parts</title><body><p id=said>loading</p>' +
  '<script>var seen = 0;' +
  `addEventListener('load', () => {
     const over = performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol);
     const h2 = over.filter((protocol) => protocol === 'h2').length;
     document.getElementById('said').textContent = 'seen ' + seen + ', h2 ' + h2;
   });</script>` +
  Array.from({length: parts}, (_, i) => `<script async src=/part/${i}.js></script>`).join('');
http.createServer((request, answer) => {
  const script = request.url.startsWith('/part/');
  answer.setHeader('Content-Type', script ? 'text/javascript' : 'text/html');
  answer.end(script ? 'seen += 1; //' + 'x'.repeat(Math.random() * 20000) : page);
}).listen(0, '127.0.0.1', function () { console.log(this.address().port); });
""" % PARTS


@pytest.fixture
def app_port():
    with subprocess.Popen(["node", "-e", APP], stdout=subprocess.PIPE, text=True) as app:
        try:
            yield int(app.stdout.readline())
        finally:
            app.kill()


def make_certificate(folder):
    cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return {"cert": cert, "key": key}


def load_page(url, folder):
    """The page's text once it has loaded."""
    said = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--disable-background-networking", "--ignore-certificate-errors", "--no-proxy-server",
         f"--user-data-dir={folder}", "--virtual-time-budget=60000", "--dump-dom", url],
        capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r"<p id=\"said\">([^<]*)</p>", said.stdout)
    assert found, said.stdout[-2000:] + said.stderr[-2000:]
    return found[1]


def test_a_page_of_many_parts(app_port, tmp_path):
    weir = Weir(upstreams={"app": {"servers": [{"address": f"127.0.0.1:{app_port}"}]}},
                sites=[{"hosts": ["localhost"], "routes": [{"path": "/", "upstream": "app"}]}],
                listener={"protocols": ["h2", "http/1.1"], "tls": {}},
                certificates=[make_certificate(tmp_path)])
    with weir:
        said = load_page(f"https://localhost:{weir.address[1]}/", tmp_path / "profile")
        assert said == f"seen {PARTS}, h2 {PARTS}"
        entries = weir.access_log(lines=PARTS + 1)
    parts = [entry for entry in entries if entry["uri"].startswith("/part/")]
    assert len(parts) == PARTS
    assert {(entry["protocol"], entry["status"]) for entry in parts} == {("HTTP/2.0", 200)}
