'use strict';
// Exits 1 and names each port of 127.0.0.1 given as NAME=PORT that cannot be listened on.

const net = require('net');

for (const argument of process.argv.slice(2)) {
  const [name, port] = argument.split('=');
  const probe = net.createServer();
  probe.on('error', (error) => {
    const why = error.code === 'EADDRINUSE' ? 'is taken' : error.message;
    console.error(`port ${port} ${why}; choose another with ${name}=PORT`);
    process.exitCode = 1;
  });
  try {
    probe.listen(Number(port), '127.0.0.1', () => probe.close());
  } catch (error) {
    probe.emit('error', error);
  }
}
