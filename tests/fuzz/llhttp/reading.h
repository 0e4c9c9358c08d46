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
  // Where it begins, and where its body ends, when the reader can tell.
  size_t begin = 0;
  size_t body_end = 0;
};

struct Reading {
  std::vector<Message> messages;
  std::string error;      // why the reader stopped, or empty
  bool upgraded = false;  // what follows is a tunnel to this reader
};

enum class Side { Requests, Responses, ResponsesToHead };

Reading read_by_codec(std::string_view bytes, Side side);
Reading read_by_llhttp(std::string_view bytes, Side side);

/// What the codec refuses and llhttp takes.
struct Refusal {
  std::string_view empty_lines;  // in front of the message
  std::string_view bytes;        // from its first line on
  const Message& message;        // as llhttp takes it
  const std::string& error;      // the codec's
  Side side;
};
/// Why it may, from the list of known differences, or nullptr.
const char* why_stricter(const Refusal& refusal);
/// Why the codec may take a message among `bytes`, after the message `before` if there is one,
/// although llhttp refuses it with `error`, or nullptr.
const char* why_wider(std::string_view bytes, const Message* before, const std::string& error);

}  // namespace tidegate::llhttp_diff
