// SPDX-License-Identifier: Apache-2.0
// What one reader made of the bytes of one connection, so that two readers can be compared.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::llhttp_diff {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Message {
  std::string start;   // "GET /a 1.1", "200 OK 1.1"
  std::string target;  // of a request
  Fields fields;       // names lower-cased, values trimmed
  std::string body;
  Fields trailers;
  bool has_head = false;  // the head was accepted
  bool complete = false;
  size_t offset = 0;  // where it begins, when the reader can tell
};

struct Reading {
  std::vector<Message> messages;
  std::string error;      // why the reader stopped, or empty
  bool upgraded = false;  // what follows is a tunnel to this reader
};

enum class Side { Requests, Responses, ResponsesToHead };

Reading read_by_codec(std::string_view bytes, Side side);
Reading read_by_llhttp(std::string_view bytes, Side side);

/// Why the codec may refuse what llhttp takes as `message`, or nullptr: a reason from the list of
/// known differences. `bytes` begin with the message; `error` is the codec's.
const char* why_stricter(std::string_view bytes, const Message& message, const std::string& error,
                         Side side);
/// Why the codec may take a message among `bytes` although llhttp refuses it with `error`, or
/// nullptr.
const char* why_wider(std::string_view bytes, const std::string& error);

}  // namespace tidegate::llhttp_diff
