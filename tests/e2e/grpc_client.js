// SPDX-License-Identifier: Apache-2.0
// grpc_client.js PORT CALL: makes one kind of call and prints what came of it as JSON.
"use strict";
const grpc = require("@grpc/grpc-js");

const Client = grpc.makeGenericClientConstructor(require("./grpc_service.js"), "test.Service");
const client = new Client(`127.0.0.1:${process.argv[2]}`, grpc.credentials.createInsecure());

function finish(result) {
  console.log(JSON.stringify(result));
  client.close();
}

function outcome(error, value) {
  finish(error ? { code: error.code, details: error.details } : { value });
}

const calls = {
  unary() {
    const metadata = new grpc.Metadata();
    metadata.set("x-sent", "yes");
    const result = {};
    const call = client.Unary("world", metadata, (error, value) => (result.value = value));
    call.on("metadata", (initial) => (result.seen = initial.get("x-seen")[0]));
    call.on("status", (status) => {
      result.code = status.code;
      result.trailer = status.metadata.get("x-trailer")[0];
      setImmediate(() => finish(result));
    });
  },
  many() {
    let left = 200;
    let good = 0;
    for (let i = 0; i < 200; ++i) {
      client.Unary(String(i), (error, value) => {
        if (value === `hello ${i}`) ++good;
        if (--left === 0) finish({ good });
      });
    }
  },
  fail: () => client.Fail("please", outcome),
  deadline: () => client.Hang("on", { deadline: Date.now() + 200 }, outcome),
  cancel() {
    const call = client.Hang("on", outcome);
    setTimeout(() => call.cancel(), 100);
  },
  collect() {
    const call = client.Collect(outcome);
    for (let i = 0; i < 100; ++i) call.write("x".repeat(20000));
    call.end();
  },
  count() {
    const call = client.Count("500");
    const parts = [];
    call.on("data", (part) => parts.push(part));
    call.on("status", (status) => finish({ code: status.code, count: parts.length, last: parts.at(-1) }));
  },
  chat() {
    const call = client.Chat();
    const heard = [];
    // Each line waits for the answer to the one before.
    call.on("data", (line) => {
      heard.push(line);
      if (heard.length < 5) call.write(`line ${heard.length}`);
      else call.end();
    });
    call.on("status", (status) => finish({ code: status.code, heard }));
    call.write("line 0");
  },
};
calls[process.argv[3]]();
