// SPDX-License-Identifier: Apache-2.0
// A service of all four kinds, over plain texts instead of protobuf.
"use strict";

const text = { serialize: (value) => Buffer.from(value), deserialize: (bytes) => bytes.toString() };

function method(name, requestStream, responseStream) {
  return {
    path: `/test.Service/${name}`,
    requestStream,
    responseStream,
    requestSerialize: text.serialize,
    requestDeserialize: text.deserialize,
    responseSerialize: text.serialize,
    responseDeserialize: text.deserialize,
  };
}

module.exports = {
  Unary: method("Unary", false, false),
  Fail: method("Fail", false, false),
  Hang: method("Hang", false, false),
  Collect: method("Collect", true, false),
  Count: method("Count", false, true),
  Chat: method("Chat", true, true),
};
