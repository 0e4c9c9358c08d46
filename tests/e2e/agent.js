// SPDX-License-Identifier: Apache-2.0
// Requests over node's keep-alive agent: argv is port, number of requests, number of sockets. Prints
// one line of JSON.
const http = require('http');

const [port, count, sockets] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: sockets });
const used = new Set();

function ask(number) {
  return new Promise((resolve, reject) => {
    const body = 'x'.repeat(number * 100);
    const request = http.request(
      { host: '127.0.0.1', port, agent, method: 'POST', path: `/${number}` },
      (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () => {
          const same = Buffer.concat(parts).toString() === (body || `POST /${number}\n`);
          resolve({ status: response.statusCode, same });
        });
        response.on('error', reject);
      });
    request.on('socket', (socket) => used.add(socket));
    request.on('error', reject);
    for (let at = 0; at < body.length; at += 1000) request.write(body.slice(at, at + 1000));
    request.end();
  });
}

Promise.all(Array.from({ length: count }, (_, number) => ask(number)))
  .then((answers) => {
    const good = answers.filter((answer) => answer.status === 200 && answer.same).length;
    console.log(JSON.stringify({ good, sockets: used.size }));
    agent.destroy();
  })
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
