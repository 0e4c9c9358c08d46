// SPDX-License-Identifier: Apache-2.0
// Both sides of TLS connected in memory: no socket.
#include "net/tls.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "net/tls_client_context.h"
#include "net/tls_server_context.h"
#include "unit/net/made_certificate.h"

using namespace std::chrono_literals;

namespace tidegate::net {
namespace {

using Progress = Tls::Progress;

struct Side {
  explicit Side(std::unique_ptr<Tls> made) : tls(std::move(made)) {}

  /// Encrypts `parts` as one flush would; gives the ciphertext.
  std::string write(const std::vector<std::string>& parts) {
    OutputBuffer output(blocks);
    for (const std::string& part : parts) output.borrow(part);
    while (!output.empty()) REQUIRE(tls->write(output, 64 * 1024, *buffers));
    return std::exchange(buffers->to_send, {});
  }
  std::string read(std::string_view ciphertext, Progress expected = Progress::Done) {
    std::string all;
    std::string to(64 * 1024, '\0');
    Tls::Read got{};
    tls->give_input(ciphertext);
    do {
      got = tls->read(to.data(), to.size(), answer);
      all.append(to, 0, got.bytes);
    } while (tls->has_input());
    if (got.bytes > 0 && tls->readable()) got = tls->read(to.data(), to.size(), answer);
    CHECK(got.after == expected);
    return all;
  }

  OutputBlocks blocks;
  std::unique_ptr<TlsBuffers> buffers = std::make_unique<TlsBuffers>();
  std::string answer;
  std::unique_ptr<Tls> tls;
};

struct Pair {
  Pair(const TlsServerContext& server_context, const TlsClientContext& client_context,
       const std::string& host, TlsSession& session, size_t step = 1 << 20)
      : server(server_context.accept()), client(client_context.connect(host, session)) {
    std::string up;
    std::string down;
    while (!(server.tls->secured() && client.tls->secured())) {
      shake(client, down, up, step);
      shake(server, up, down, step);
      REQUIRE(++rounds < 100'000);
    }
    client.read(down);  // the session ticket of TLS 1.3
  }

  /// At most `step` bytes of what has come; what is to be sent is appended to `out`.
  static void shake(Side& side, std::string& in, std::string& out, size_t step) {
    if (side.tls->secured()) return;
    const std::string some = in.substr(0, step);
    in.erase(0, some.size());
    side.tls->give_input(some);
    CHECK(side.tls->handshake(out) != Progress::Broken);
  }

  Side server;
  Side client;
  int rounds = 0;
};

struct Rig {
  Rig() { make_server(); }
  void make_server() {
    TlsServerSettings settings;
    settings.certificates = {{first.cert, first.key}, {second.cert, second.key}};
    settings.alpn = {"h2", "http/1.1"};
    settings.name = "rig";
    server = *TlsServerContext::make(settings, keys);
    trusting = *TlsClientContext::make({true, second.cert, {}, {}, {"http/1.1"}});
  }

  MadeCertificate first{"first.example"};
  MadeCertificate second{"second.example"};
  std::shared_ptr<TlsTicketKeys> keys = std::make_shared<TlsTicketKeys>(TimePoint{});
  std::shared_ptr<const TlsServerContext> server;
  std::shared_ptr<const TlsClientContext> trusting;
  TlsSession session;
};

size_t records_in(std::string_view ciphertext) {
  size_t count = 0;
  while (ciphertext.size() >= 5) {
    const auto high = static_cast<unsigned char>(ciphertext[3]);
    const auto low = static_cast<unsigned char>(ciphertext[4]);
    ciphertext.remove_prefix(5 + static_cast<size_t>(high << 8 | low));
    ++count;
  }
  CHECK(ciphertext.empty());
  return count;
}

TEST_CASE("both sides agree, and say on what") {
  Rig rig;
  Pair pair(*rig.server, *rig.trusting, "second.example", rig.session);
  const auto facts = pair.server.tls->facts();
  CHECK(facts->version == "TLSv1.3");
  CHECK(facts->sni == "second.example");
  CHECK(facts->alpn == "http/1.1");
  CHECK(facts->certificate() == nullptr);
  CHECK(facts->pin().get() == facts.get());
  CHECK(pair.client.tls->facts()->certificate()->names ==
        std::vector<std::string>{"second.example"});
}

TEST_CASE("a handshake may come byte by byte") {
  Rig rig;
  Pair pair(*rig.server, *rig.trusting, "second.example", rig.session, 1);
  CHECK(pair.server.read(pair.client.write({"hello"})) == "hello");
}

TEST_CASE("short pieces share one record, long ones are cut into full records") {
  Rig rig;
  Pair pair(*rig.server, *rig.trusting, "second.example", rig.session);
  const std::string body(3000, 'b');
  std::string ciphertext = pair.server.write({"head", body, std::string(2500, 'c')});
  CHECK(records_in(ciphertext) == 1);
  CHECK(pair.client.read(ciphertext) == "head" + body + std::string(2500, 'c'));
  const std::string bulk(100'000, 'x');
  ciphertext = pair.server.write({bulk});
  CHECK(records_in(ciphertext) == 7);
  CHECK(pair.client.read(ciphertext) == bulk);
}

TEST_CASE("one read takes all that came, and keeps part of a record for the next") {
  Rig rig;
  Pair pair(*rig.server, *rig.trusting, "second.example", rig.session);
  std::string ciphertext = pair.client.write({std::string(20'000, 'a')});
  ciphertext += pair.client.write({"end"});
  const std::string_view all = ciphertext;
  std::string got = pair.server.read(all.substr(0, 17'000));
  CHECK(got.size() == 16 * 1024);
  CHECK_FALSE(pair.server.tls->has_input());
  got += pair.server.read(all.substr(17'000));
  CHECK(got == std::string(20'000, 'a') + "end");
}

TEST_CASE("close_notify is an end, and the other direction stays open") {
  Rig rig;
  Pair pair(*rig.server, *rig.trusting, "second.example", rig.session);
  std::string bytes = pair.client.write({"last"});
  pair.client.tls->close_notify(bytes);
  CHECK(pair.server.read(bytes, Progress::Closed) == "last");
  CHECK(pair.client.read(pair.server.write({"answer"})) == "answer");
}

TEST_CASE("an end without close_notify, and damage, are no end") {
  Rig rig;
  Pair cut(*rig.server, *rig.trusting, "second.example", rig.session);
  cut.server.tls->give_eof();
  cut.server.read({}, Progress::Broken);
  Pair damaged(*rig.server, *rig.trusting, "second.example", rig.session);
  std::string bytes = damaged.client.write({"bytes"});
  bytes.back() ^= 1;
  CHECK(damaged.server.read(bytes, Progress::Broken).empty());
}

TEST_CASE("a client refuses a certificate that it does not trust or that is for another name") {
  Rig rig;
  for (const std::string host : {"first.example", "third.example"}) {
    TlsSession session;
    Side server(rig.server->accept());
    Side client(rig.trusting->connect(host, session));
    std::string up;
    std::string down;
    client.tls->handshake(up);
    server.tls->give_input(up);
    CHECK(server.tls->handshake(down) == Progress::Again);
    client.tls->give_input(down);
    CHECK(client.tls->handshake(up) == Progress::Broken);
    CHECK(client.tls->failure().code == ErrorCode::CertificateInvalid);
  }
}

TEST_CASE("plain HTTP in place of a handshake is known as that") {
  Rig rig;
  Side server(rig.server->accept());
  std::string out;
  server.tls->give_input("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(server.tls->handshake(out) == Progress::Broken);
  CHECK(server.tls->failure().plain_http);
}

TEST_CASE("a session is resumed as long as its ticket's key is kept") {
  Rig rig;
  { Pair first(*rig.server, *rig.trusting, "second.example", rig.session); }
  // Each use renews the ticket.
  for (const auto& [hours, resumed] :
       {std::pair(1h, true), std::pair(3h, true), std::pair(6h, false)}) {
    rig.keys->rotate(TimePoint{} + hours);
    Pair pair(*rig.server, *rig.trusting, "second.example", rig.session);
    CHECK(pair.server.tls->resumed() == resumed);
  }
}

TEST_CASE("a session is not resumed by another client context") {
  Rig rig;
  { Pair first(*rig.server, *rig.trusting, "second.example", rig.session); }
  const auto other = *TlsClientContext::make({true, rig.second.cert, {}, {}, {"h2"}});
  Pair pair(*rig.server, *other, "second.example", rig.session);
  CHECK_FALSE(pair.server.tls->resumed());
  CHECK(pair.client.tls->alpn() == "h2");
}

TEST_CASE("a context outlives its owner for the length of a handshake") {
  Rig rig;
  TlsSession session;
  Side server(rig.server->accept());
  Side client(rig.trusting->connect("second.example", session));
  rig.server.reset();
  rig.trusting.reset();
  std::string up;
  std::string down;
  for (int i = 0; i < 4; ++i) {
    Pair::shake(client, down, up, 1 << 20);
    Pair::shake(server, up, down, 1 << 20);
  }
  CHECK(server.tls->secured());
  CHECK(client.tls->secured());
}

}  // namespace
}  // namespace tidegate::net
