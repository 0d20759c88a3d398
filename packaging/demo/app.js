'use strict';
// A small app server for the demo and for tests: `NAME=app1 PORT=3001 node app.js`. Loopback only.
//
//   /            who answered and what it was sent, as JSON
//   /slow?ms=N   the same after N milliseconds (500; at most 10000)
//   /health      200 "ok"
//   WebSocket    on any path: echoes every message

const crypto = require('crypto');
const http = require('http');

const name = process.env.NAME || 'app';
const port = Number(process.env.PORT || 3001);
const kWebSocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';  // RFC 6455 section 1.3
const kMaxMessageBytes = 64 * 1024;
const kMaxDelayMs = 10000;

function describe(request, bodyBytes) {
  return JSON.stringify({
    app: name,
    method: request.method,
    path: request.url,
    headers: request.headers,
    body_bytes: bodyBytes,
  }) + '\n';
}

function delayMs(url) {
  if (url.pathname !== '/slow') return 0;
  const asked = Number(url.searchParams.get('ms') || 500);
  return Number.isFinite(asked) ? Math.min(Math.max(asked, 0), kMaxDelayMs) : 0;
}

function onRequest(request, response) {
  const url = new URL(request.url, 'http://localhost');
  let bodyBytes = 0;
  request.on('data', (chunk) => { bodyBytes += chunk.length; });
  request.on('end', () => {
    if (url.pathname === '/health') {
      response.writeHead(200, {'Content-Type': 'text/plain'}).end('ok\n');
      return;
    }
    setTimeout(() => {
      response.writeHead(200, {'Content-Type': 'application/json', 'X-Powered-By': 'node'});
      response.end(describe(request, bodyBytes));
    }, delayMs(url));
  });
}

// One unfragmented frame, or null while bytes are missing. A client's frame is always masked.
function takeFrame(bytes) {
  if (bytes.length < 2) return null;
  let length = bytes[1] & 0x7f;
  let at = 2;
  if (length === 126) {
    if (bytes.length < 4) return null;
    length = bytes.readUInt16BE(2);
    at = 4;
  }
  const isValid = length !== 127 && length <= kMaxMessageBytes && (bytes[1] & 0x80) !== 0;
  if (!isValid) return {opcode: 8, payload: Buffer.alloc(0), rest: Buffer.alloc(0)};
  if (bytes.length < at + 4 + length) return null;
  const mask = bytes.subarray(at, at + 4);
  const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + length));
  for (let i = 0; i < length; ++i) payload[i] ^= mask[i & 3];
  return {opcode: bytes[0] & 0x0f, payload, rest: bytes.subarray(at + 4 + length)};
}

function frame(opcode, payload) {
  const head = payload.length < 126
    ? Buffer.from([0x80 | opcode, payload.length])
    : Buffer.from([0x80 | opcode, 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, payload]);
}

function onUpgrade(request, socket, early) {
  const key = request.headers['sec-websocket-key'];
  if (String(request.headers.upgrade).toLowerCase() !== 'websocket' || !key) {
    socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    return;
  }
  const accept = crypto.createHash('sha1').update(key + kWebSocketGuid).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
    `Connection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nX-App: ${name}\r\n\r\n`);
  let pending = Buffer.alloc(0);
  function onBytes(bytes) {
    pending = Buffer.concat([pending, bytes]);
    for (let next = takeFrame(pending); next; next = takeFrame(pending)) {
      pending = next.rest;
      if (next.opcode === 8) {
        socket.end(frame(8, next.payload));
        return;
      }
      if (next.opcode === 9) socket.write(frame(10, next.payload));
      else if (next.opcode !== 10) socket.write(frame(next.opcode, next.payload));
    }
  }
  socket.on('error', () => socket.destroy());
  socket.on('data', onBytes);
  if (early.length > 0) onBytes(early);
}

const server = http.createServer(onRequest);
server.on('upgrade', onUpgrade);
server.on('error', (error) => {
  console.error(`${name}: ${error.message}`);
  process.exit(1);
});
server.listen(port, '127.0.0.1');
