// SPDX-License-Identifier: Apache-2.0
// argv: URL, then what to do. Prints one line of JSON.
const { randomBytes } = require('crypto');
const WebSocket = require('ws');

const [url, what] = process.argv.slice(2);
const ws = new WebSocket(url);
const seen = [];
const big = randomBytes(8 << 20);

function finish(result) {
  console.log(JSON.stringify(result));
  process.exit(0);
}

const actions = {
  echo(data, binary) {
    seen.push(binary ? data.length : data.toString());
    if (seen.length === 1) return ['one', 'two', Buffer.from([0, 255, 13, 10])].forEach((m) => ws.send(m));
    if (seen.length === 4) finish({ seen });
  },
  big(data, binary) {
    if (!binary) return ws.send(big);
    finish({ same: Buffer.compare(data, big) === 0 });
  },
  many(data) {
    seen.push(data.toString());
    if (seen.length === 1) for (let n = 0; n < 1000; ++n) ws.send(String(n));
    if (seen.length === 1001) finish({ ordered: seen.slice(1).every((text, n) => text === String(n)) });
  },
  ping() {
    ws.on('pong', (data) => finish({ pong: data.toString() }));
    ws.ping('are you there');
  },
  close() {
    ws.send('close');
    ws.on('close', (code, reason) => finish({ code, reason: reason.toString() }));
  },
  hello(data) { finish({ hello: data.toString() }); },
};
ws.on('message', actions[what]);
ws.on('unexpected-response', (request, response) => finish({ refused: response.statusCode }));
ws.on('error', (error) => { console.error(error); process.exit(1); });
