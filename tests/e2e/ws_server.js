// SPDX-License-Identifier: Apache-2.0
// A WebSocket server that sends back what it gets; prints its port. The message "close" is answered
// by closing with 4001; /refused is no WebSocket.
const http = require('http');
const { WebSocketServer } = require('ws');

const server = http.createServer((request, response) => response.end('no websocket here'));
const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 << 20 });
server.on('upgrade', (request, socket, head) => {
  if (request.url === '/refused') {
    return socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
  }
  sockets.handleUpgrade(request, socket, head, (ws) => {
    ws.send(`hello ${request.headers['x-mark'] || 'unmarked'}`);
    ws.on('message', (data, binary) => {
      if (!binary && data.toString() === 'close') return ws.close(4001, 'as you wish');
      ws.send(data, { binary });
    });
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
