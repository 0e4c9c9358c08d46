// SPDX-License-Identifier: Apache-2.0
// The transport with TLS: moves ciphertext between the socket and Tls.
#include <sys/socket.h>

#include <cerrno>

#include "net/transport.h"

namespace tidegate::net {
namespace {

// Encrypted at a time, and sent with one call: at most so much waits as ciphertext behind a peer
// that takes nothing.
constexpr size_t kBurst = 64 * 1024;
// What a peer may make us say (key updates, alerts) while it takes nothing.
constexpr size_t kMaxUnsent = 256 * 1024;

}  // namespace

void Transport::start_tls(std::unique_ptr<Tls> tls) {
  tls_ = std::move(tls);
  start_reading();
  if (tls_->speaks()) read_later();
}

void Transport::read_later() {
  if (std::exchange(read_due_, true)) return;
  loop_.read_next_turn(*this);
}

void Transport::read_kept() {
  read_due_ = false;
  if (reading_) on_readable();
}

// Whether there is something to work on.
bool Transport::receive_ciphertext() {
  if (tls_->has_input()) return true;
  char* buffer = loop_.tls_buffers().received;
  const IoResult result = receive(buffer, TlsBuffers::kReceive);
  switch (result.state) {
    case Io::Done:
      tls_->give_input({buffer, result.bytes});
      return true;
    case Io::Again:
      return tls_->speaks() || tls_->readable();
    case Io::Closed:
    case Io::Broken:
      tls_->give_eof();
      return true;
  }
  return true;
}

void Transport::read_tls() {
  if (!tls_->secured()) {
    if (!loop_.may_shake_hands()) {
      // A socket that has bytes calls again by itself, kept bytes do not.
      if (tls_->has_input() || tls_->speaks()) read_later();
      return;
    }
    // A handshake takes long, and nobody else's output shall wait for it.
    loop_.stop_gathering();
    loop_.flush_gathered();
    if (!open()) return;
  }
  if (!receive_ciphertext()) return;
  if (!tls_->secured()) {
    shake_hands();
  } else {
    deliver_plaintext();
  }
}

void Transport::shake_hands() {
  const Tls::Progress progress = tls_->handshake(loop_.tls_buffers().to_send);
  if (progress == Tls::Progress::Broken) {
    const TlsFailure failure = tls_->failure();
    // The alert; whether it can be sent changes nothing.
    send_ciphertext();
    pause_reading();
    tls_.reset();
    return handler_->on_secured(&failure);
  }
  if (send_ciphertext() == Io::Again) block();
  tls_->keep_input();
  if (progress == Tls::Progress::Again) return;
  // The first request often comes with the handshake's last message.
  if (tls_->has_input()) read_later();
  handler_->on_secured(nullptr);
  // What was appended before the handshake had ended.
  if (open() && !output_.empty()) schedule_flush();
}

void Transport::deliver_plaintext() {
  char* buffer = loop_.read_buffer();
  const Tls::Read read =
      tls_->read(buffer, EventLoop::kReadBufferSize, loop_.tls_buffers().to_send);
  if (send_ciphertext() == Io::Again) block();
  if (tls_->unsent().size() > kMaxUnsent) return broken();
  if (read.bytes > 0) {
    // The end, or what did not fit, has its own turn.
    if (tls_->readable()) read_later();
    return handler_->on_bytes({buffer, read.bytes});
  }
  switch (read.after) {
    case Tls::Progress::Closed:
      pause_reading();
      return handler_->on_eof();
    case Tls::Progress::Broken:
      return broken();
    case Tls::Progress::Done:
    case Tls::Progress::Again:
      return;
  }
}

Transport::Io Transport::write_tls() {
  TlsBuffers& buffers = loop_.tls_buffers();
  Io sent = send_ciphertext();
  while (sent == Io::Done && tls_->secured() && !output_.empty()) {
    if (!tls_->write(output_, kBurst, buffers)) {
      buffers.to_send.clear();
      return Io::Broken;
    }
    sent = send_ciphertext();
  }
  return sent;
}

// Sends what TLS has to say; what the kernel does not take stays with the connection. Again: some
// is left.
Transport::Io Transport::send_ciphertext() {
  std::string& fresh = loop_.tls_buffers().to_send;
  std::string& old = tls_->unsent();
  if (!old.empty()) {
    old.append(fresh);
    fresh.clear();
  }
  std::string& all = old.empty() ? fresh : old;
  size_t sent = 0;
  while (sent < all.size()) {
    const ssize_t n = ::send(fd_.get(), all.data() + sent, all.size() - sent, MSG_NOSIGNAL);
    if (n >= 0) {
      sent += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      break;
    }
  }
  bytes_written_ += sent;
  const bool gone = sent < all.size() && errno != EAGAIN && errno != EWOULDBLOCK;
  if (&all == &fresh) {
    if (sent < fresh.size() && !gone) old.assign(fresh, sent);
    fresh.clear();
  } else if (sent == old.size() || gone) {
    old = std::string();
  } else {
    old.erase(0, sent);
  }
  if (gone) return Io::Broken;
  return old.empty() ? Io::Done : Io::Again;
}

void Transport::say_close_notify() {
  // Where output is dropped, the peer is to see that something is missing.
  if (!open() || !flushed()) return;
  tls_->close_notify(loop_.tls_buffers().to_send);
  send_ciphertext();
}

}  // namespace tidegate::net
