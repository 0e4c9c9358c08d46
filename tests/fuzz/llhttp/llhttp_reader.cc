// SPDX-License-Identifier: Apache-2.0
#include <llhttp/llhttp.h>

#include "fuzz/llhttp/reading.h"
#include "http/http1/bytes.h"

namespace tidegate::llhttp_diff {
namespace {

/// The callbacks of llhttp, which tell a message in pieces.
struct Reader {
  llhttp_t parser;  // first, so that a pointer to it is one to this
  Reading reading;
  const char* begin = nullptr;
  Side side = Side::Requests;
  bool in_trailers = false;
  std::string method;
  std::string status;
  std::string name;
  std::string value;

  Message& message() { return reading.messages.back(); }
  Fields& fields() { return in_trailers ? message().trailers : message().fields; }
};

Reader& reader_of(llhttp_t* parser) {
  return *reinterpret_cast<Reader*>(parser);
}

std::string trimmed(std::string_view text) {
  while (!text.empty() && http::http1::is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && http::http1::is_blank(text.back())) text.remove_suffix(1);
  return std::string(text);
}

int on_message_begin(llhttp_t* parser) {
  Reader& reader = reader_of(parser);
  reader.reading.messages.emplace_back().begin = SIZE_MAX;
  reader.in_trailers = false;
  reader.method.clear();
  reader.status.clear();
  return 0;
}

void begin_at(Reader& reader, const char* at) {
  if (reader.message().begin != SIZE_MAX) return;
  reader.message().begin = static_cast<size_t>(at - reader.begin);
}

int on_method(llhttp_t* parser, const char* at, size_t length) {
  reader_of(parser).method.append(at, length);
  begin_at(reader_of(parser), at);
  return 0;
}

int on_version(llhttp_t* parser, const char* at, size_t) {
  begin_at(reader_of(parser), at - 5);  // behind "HTTP/"; in a request the method came before
  return 0;
}

int on_url(llhttp_t* parser, const char* at, size_t length) {
  reader_of(parser).message().target.append(at, length);
  return 0;
}

int on_status(llhttp_t* parser, const char* at, size_t length) {
  reader_of(parser).status.append(at, length);
  return 0;
}

int on_name(llhttp_t* parser, const char* at, size_t length) {
  for (size_t i = 0; i < length; ++i) reader_of(parser).name += http::http1::lower(at[i]);
  return 0;
}

int on_value(llhttp_t* parser, const char* at, size_t length) {
  reader_of(parser).value.append(at, length);
  return 0;
}

int on_value_complete(llhttp_t* parser) {
  Reader& reader = reader_of(parser);
  reader.fields().emplace_back(trimmed(reader.name), trimmed(reader.value));
  reader.name.clear();
  reader.value.clear();
  return 0;
}

int on_headers_complete(llhttp_t* parser) {
  Reader& reader = reader_of(parser);
  Message& message = reader.message();
  const std::string version =
      std::to_string(parser->http_major) + "." + std::to_string(parser->http_minor);
  message.start = reader.side == Side::Requests
                      ? reader.method + " " + message.target + " " + version
                      : std::to_string(parser->status_code) + " " + reader.status + " " + version;
  message.has_head = true;
  reader.in_trailers = true;
  // 1: no body. llhttp leaves it to its user to know these.
  return reader.side == Side::ResponsesToHead || parser->status_code == 304 ? 1 : 0;
}

int on_body(llhttp_t* parser, const char* at, size_t length) {
  Reader& reader = reader_of(parser);
  reader.message().body.append(at, length);
  reader.message().body_end = static_cast<size_t>(at - reader.begin) + length;
  return 0;
}

int on_message_complete(llhttp_t* parser) {
  reader_of(parser).message().complete = true;
  return 0;
}

llhttp_settings_t settings() {
  llhttp_settings_t s;
  llhttp_settings_init(&s);
  s.on_message_begin = on_message_begin;
  s.on_method = on_method;
  s.on_version = on_version;
  s.on_url = on_url;
  s.on_status = on_status;
  s.on_header_field = on_name;
  s.on_header_value = on_value;
  s.on_header_value_complete = on_value_complete;
  s.on_headers_complete = on_headers_complete;
  s.on_body = on_body;
  s.on_message_complete = on_message_complete;
  return s;
}

}  // namespace

Reading read_by_llhttp(std::string_view bytes, Side side) {
  const llhttp_settings_t callbacks = settings();
  Reader reader;
  llhttp_init(&reader.parser, side == Side::Requests ? HTTP_REQUEST : HTTP_RESPONSE, &callbacks);
  reader.begin = bytes.data();
  reader.side = side;
  llhttp_errno_t error = llhttp_execute(&reader.parser, bytes.data(), bytes.size());
  if (error == HPE_PAUSED_UPGRADE) {
    reader.reading.upgraded = true;
    error = HPE_OK;
  } else if (error == HPE_OK) {
    error = llhttp_finish(&reader.parser);
  }
  if (error != HPE_OK) reader.reading.error = llhttp_errno_name(error);
  return reader.reading;
}

}  // namespace tidegate::llhttp_diff
