// SPDX-License-Identifier: Apache-2.0
// Prints its port, then "cancelled" for each call that its client gave up.
"use strict";
const grpc = require("@grpc/grpc-js");

const server = new grpc.Server();
server.addService(require("./grpc_service.js"), {
  Unary: (call, done) => {
    const trailers = new grpc.Metadata();
    trailers.set("x-trailer", "after");
    const initial = new grpc.Metadata();
    initial.set("x-seen", String(call.metadata.get("x-sent")[0]));
    call.sendMetadata(initial);
    done(null, `hello ${call.request}`, trailers);
  },
  Fail: (call, done) => done({ code: grpc.status.FAILED_PRECONDITION, details: "not “now” 100%" }),
  Hang: (call) => call.on("cancelled", () => console.log("cancelled")),
  Collect: (call, done) => {
    let size = 0;
    call.on("data", (part) => (size += part.length));
    call.on("end", () => done(null, String(size)));
  },
  Count: (call) => {
    for (let i = 0; i < Number(call.request); ++i) call.write(`part ${i}`);
    call.end();
  },
  Chat: (call) => {
    call.on("data", (line) => call.write(`re: ${line}`));
    call.on("end", () => call.end());
  },
});
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
