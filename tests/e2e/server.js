// SPDX-License-Identifier: Apache-2.0
// node's HTTP server; prints its port. /trailers streams with trailers, /hints sends 103, /early
// answers before it reads, all else comes back as it was sent.
const http = require('http');

const server = http.createServer((request, response) => {
  if (request.url === '/trailers') {
    response.writeHead(200, { Trailer: 'X-Sum', 'Transfer-Encoding': 'chunked' });
    response.write('streamed ');
    response.addTrailers({ 'X-Sum': '42' });
    return response.end('body');
  }
  if (request.url === '/hints') {
    return response.writeEarlyHints({ link: '</a.css>; rel=preload; as=style' }, () => {
      response.end('after hints');
    });
  }
  if (request.url === '/early') {
    response.writeHead(403);
    return response.end('no');
  }
  response.writeHead(200, { 'Content-Type': 'application/octet-stream' });
  request.pipe(response);
});
server.on('checkContinue', (request, response) => {
  if (request.url === '/refuse') {
    response.writeHead(417, { Connection: 'close' });
    return response.end('refused');
  }
  response.writeContinue();
  server.emit('request', request, response);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
