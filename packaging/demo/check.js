'use strict';
// Asks a running demo for what the README promises and says what held. Exits 0 when all did.
//
//   node check.js --kill PID        through weir: routes, headers, balancing, metrics, and what
//                                   happens when the app server PID dies
//   node check.js --access-log F    after weir has ended: what it wrote

const assert = require('assert');
const fs = require('fs');
const http = require('http');

const kTimeoutMs = 5000;
const proxyPort = Number(process.env.WEIR_DEMO_PORT || 8080);
const adminPort = Number(process.env.WEIR_DEMO_ADMIN_PORT || 9901);
let failures = 0;

async function check(what, action) {
  try {
    const shown = await action();
    console.log(`ok      ${what}${shown ? `: ${shown}` : ''}`);
  } catch (error) {
    ++failures;
    console.log(`not ok  ${what}: ${error.message}`);
  }
}

function ask(path, options = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1', port: proxyPort, path, timeout: kTimeoutMs, ...options,
    });
    request.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text) => { body += text; });
      response.on('error', reject);
      response.on('end', () => resolve({
        status: response.statusCode, headers: response.headers, body,
      }));
    });
    request.on('timeout', () => request.destroy(new Error(`no answer to ${path}`)));
    request.on('error', reject);
    request.end(options.body);
  });
}

async function askApp(path, options) {
  const answer = await ask(path, options);
  assert.strictEqual(answer.status, 200, `status ${answer.status} for ${path}`);
  return JSON.parse(answer.body);
}

function tally(seen) {
  const counts = {app1: 0, app2: 0, app3: 0};
  for (const {app} of seen) ++counts[app];
  return counts;
}

async function checkHeaders() {
  const seen = await askApp('/', {headers: {'X-Forwarded-For': '6.6.6.6', Proxy: 'http://evil'}});
  assert.strictEqual(seen.headers['x-forwarded-for'], '127.0.0.1', 'X-Forwarded-For');
  assert.strictEqual(seen.headers['x-real-ip'], '127.0.0.1', 'X-Real-IP');
  assert.strictEqual(seen.headers['x-forwarded-proto'], 'http', 'X-Forwarded-Proto');
  assert.ok(seen.headers['x-request-id'], 'no X-Request-Id');
  assert.strictEqual(seen.headers.proxy, undefined, 'Proxy was passed on');
  return `app sees x-forwarded-for ${seen.headers['x-forwarded-for']}`;
}

async function checkBalancing() {
  const asked = Array.from({length: 12}, (_, i) => askApp(`/slow?ms=500&n=${i}`));
  const counts = tally(await Promise.all(asked));
  assert.ok(Math.min(...Object.values(counts)) > 0, `one app got none: ${JSON.stringify(counts)}`);
  assert.ok(counts.app1 > counts.app3, `weights ignored: ${JSON.stringify(counts)}`);
  return JSON.stringify(counts);
}

async function checkStatus(path, host, status) {
  const answer = await ask(path, {headers: {Host: host}});
  assert.strictEqual(answer.status, status, `got ${answer.status}`);
}

function checkWebSocket() {
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1', port: proxyPort, path: '/ws', timeout: kTimeoutMs,
      headers: {
        Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    });
    request.on('timeout', () => request.destroy(new Error('no echo')));
    request.on('error', reject);
    request.on('response', (response) => {
      reject(new Error(`status ${response.statusCode} instead of 101`));
      response.destroy();
    });
    request.on('upgrade', (response, socket, early) => {
      let bytes = early;
      const onBytes = (more) => {
        bytes = Buffer.concat([bytes, more]);
        if (bytes.length < 6) return;
        socket.destroy();
        if (bytes.toString('latin1') === '\x81\x04weir') resolve('echoed');
        else reject(new Error(`echo was ${bytes.toString('hex')}`));
      };
      socket.setTimeout(kTimeoutMs, () => socket.destroy(new Error('no echo')));
      socket.on('error', reject);
      socket.on('data', onBytes);
      // A text frame "weir" under an all-zero mask, which leaves the text as it is.
      socket.write(Buffer.from([0x81, 0x84, 0, 0, 0, 0, 0x77, 0x65, 0x69, 0x72]));
      onBytes(Buffer.alloc(0));
    });
    request.end();
  });
}

async function checkKilledApp(pid) {
  process.kill(pid, 'SIGKILL');
  const seen = [];
  for (let i = 0; i < 30; ++i) seen.push(await askApp(`/after-kill?n=${i}`));
  const counts = tally(seen);
  assert.strictEqual(counts.app2, 0, 'a dead app answered');
  return JSON.stringify(counts);
}

async function checkMetrics() {
  const {status, body} = await ask('/metrics', {port: adminPort});
  assert.strictEqual(status, 200, `status ${status}`);
  const lines = body.split('\n').filter((line) => line.startsWith('http_requests_total{'));
  const total = lines.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0);
  assert.ok(total >= 40, `http_requests_total sums to ${total}`);
  const names = /^(http_requests_total|active_connections|weir_upstream_requests_total)\b/;
  const shown = body.split('\n').filter((line) => names.test(line));
  return `\n        ${shown.slice(0, 12).join('\n        ')}`;
}

async function checkHealth() {
  const {status, body} = await ask('/health', {port: adminPort});
  assert.strictEqual(status, 200, `status ${status}`);
  const health = JSON.parse(body);
  return `${health.status}, ${health.upstreams.app.servers.map((s) => s.state).join(' ')}`;
}

function checkAccessLog(path) {
  const text = fs.readFileSync(path, 'utf8').trim();
  const lines = text === '' ? [] : text.split('\n');
  assert.ok(lines.length >= 40, `${lines.length} lines`);
  const entries = lines.map((line) => JSON.parse(line));
  for (const key of ['time', 'client', 'method', 'uri', 'status', 'duration_ms', 'request_id']) {
    assert.ok(entries.every((entry) => key in entry), `a line lacks ${key}`);
  }
  assert.ok(entries.some((entry) => entry.status === 421), 'the refused host is not in it');
  assert.ok(!entries.some((entry) => entry.uri === '/hello'), '/hello was to stay out of it');
  return `${lines.length} lines, such as\n        ${lines.slice(0, 3).join('\n        ')}`;
}

async function checkRunning(appPid) {
  const home = `localhost:${proxyPort}`;
  await check('an app answers, with forwarded headers', checkHeaders);
  await check('least_conn shares 12 requests over three apps', checkBalancing);
  await check('a request body arrives', async () => {
    const seen = await askApp('/upload', {method: 'POST', body: 'x'.repeat(200000)});
    assert.strictEqual(seen.body_bytes, 200000);
  });
  await check('200 answered by weir', () => checkStatus('/hello', home, 200));
  await check('308 redirect', () => checkStatus('/old', home, 308));
  await check('404 where a site has no route', () => checkStatus('/x', 'api.localhost', 404));
  await check('421 for an unknown host', () => checkStatus('/', 'example.org', 421));
  await check('a WebSocket passes', checkWebSocket);
  await check('app2 killed, no GET fails', () => checkKilledApp(appPid));
  await check('metrics', checkMetrics);
  await check('health', checkHealth);
}

async function main([flag, value]) {
  if (flag === '--access-log') await check('access log', () => checkAccessLog(value));
  else await checkRunning(Number(value));
  process.exitCode = failures === 0 ? 0 : 1;
}

main(process.argv.slice(2));
