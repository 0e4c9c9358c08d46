// SPDX-License-Identifier: Apache-2.0
#include "unit/http1/record.h"

namespace tidegate::http::http1 {
namespace {

std::string describe_body(BodyKind kind, uint64_t length) {
  switch (kind) {
    case BodyKind::None:
      return "";
    case BodyKind::Sized:
      return " sized " + std::to_string(length);
    case BodyKind::Streamed:
      break;
  }
  return " streamed";
}

std::string describe_version(Version version) {
  return version == Version::Http10 ? " HTTP/1.0" : "";
}

}  // namespace

std::string describe_fields(const Headers& headers) {
  std::string text;
  for (const HeaderField& field : headers) {
    text += text.empty() ? " {" : ", ";
    text.append(field.name()).append(": ").append(field.value());
  }
  return text.empty() ? text : text + "}";
}

std::string describe_head(const RequestHead& head) {
  std::string text(head.method_name);
  text.append(" ").append(head.path);
  if (head.has_query) text.append("?").append(head.query);
  text += describe_version(head.version);
  if (!head.scheme.empty()) text.append(" by ").append(head.scheme);
  if (!head.authority.empty()) text.append(" from ").append(head.authority);
  text += describe_fields(head.headers) + describe_body(head.body, head.content_length);
  if (head.expects_continue) text += " expects continue";
  if (!head.upgrade.empty()) text.append(" upgrade to ").append(head.upgrade);
  return text;
}

std::string describe_head(const ResponseHead& head) {
  std::string text = std::to_string(head.status);
  text.append(" ").append(head.reason);
  return text + describe_version(head.version) + describe_fields(head.headers) +
         describe_body(head.body, head.content_length);
}

std::string take_output(OutputBuffer& output) {
  std::string text;
  if (output.empty()) return text;
  std::array<iovec, OutputBlock::kSegments> segments;
  const size_t count = output.gather(segments);
  for (size_t i = 0; i < count; ++i) {
    text.append(static_cast<const char*>(segments[i].iov_base), segments[i].iov_len);
  }
  output.consume(text.size());
  return text;
}

void Record::event(std::string_view line) {
  if (!text_.empty() && text_.back() != '\n') text_ += '\n';
  text_.append(line);
  text_ += '\n';
  in_body_ = false;
}

void Record::body(std::string_view bytes) {
  if (bytes.empty()) return event("an empty body event");  // the contract says never
  if (!in_body_) {
    event("body");
    text_.back() = ' ';
    in_body_ = true;
  }
  text_.append(bytes);
}

void Record::end(const Headers& trailers) {
  event("end" + describe_fields(trailers));
}

}  // namespace tidegate::http::http1
