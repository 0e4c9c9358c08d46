// SPDX-License-Identifier: Apache-2.0
#include "net/transport.h"

#include <event2/event.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "net/descriptors.h"
#include "net/keep_alive.h"

namespace tidegate::net {
namespace {

// What is copied to wait for the end of the turn; more is not worth it.
constexpr size_t kGather = OutputBlocks::kInitial;
constexpr size_t kGatherMore = 16 * 1024;  // one TLS record

}  // namespace

Transport::Transport(EventLoop& loop, Handler& handler, OwnedFd fd)
    : loop_(loop), handler_(&handler), output_(loop.output_blocks()), fd_(std::move(fd)) {}

Transport::~Transport() {
  close();
}

bool Transport::connect(const SocketAddress& address) {
  fd_ = OwnedFd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_) return false;
  if (descriptors::is_reserved(fd_.get())) {
    fd_.reset();
    errno = EMFILE;
    return false;
  }
  if (!address.is_unix()) {
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    keep_alive(fd_.get());
  }
  const int rc = ::connect(fd_.get(), address.raw(), address.length());
  if (rc != 0 && errno != EINPROGRESS) {
    fd_.reset();
    return false;
  }
  connecting_ = true;
  want_write();
  return true;
}

SocketAddress Transport::local_address() const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (::getsockname(fd_.get(), raw, &length) != 0) return {};
  return SocketAddress::from_raw(raw, length);
}

void Transport::start_reading() {
  if (reading_ || !open()) return;
  event_assign(
      &read_event_, loop_.base(), fd_.get(), EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<Transport*>(self)->on_readable(); },
      this);
  event_add(&read_event_, nullptr);
  reading_ = true;
}

void Transport::pause_reading() {
  if (!reading_) return;
  event_del(&read_event_);
  reading_ = false;
}

void Transport::resume_reading() {
  start_reading();
  if (tls_ != nullptr && tls_->readable()) read_later();
}

void Transport::peek(bool on) {
  peeking_ = on;
}

void Transport::take(size_t bytes) {
  // Over the bytes that were shown; they stand in the kernel, so this gives them all at once.
  while (::recv(fd_.get(), loop_.read_buffer(), bytes, 0) < 0 && errno == EINTR) {
  }
}

void Transport::read_arrived() {
  if (reading_) on_readable();
}

uint64_t Transport::bytes_taken() const {
  int held = 0;
  if (::ioctl(fd_.get(), SIOCOUTQ, &held) != 0 || held < 0) return bytes_written_;
  return bytes_written_ - std::min(bytes_written_, static_cast<uint64_t>(held));
}

void Transport::on_readable() {
  EventLoop& loop = loop_;
  if (tls_ != nullptr) {
    read_tls();
    return loop.flush_dirty();
  }
  char* buffer = loop.read_buffer();
  const IoResult result = receive(buffer, EventLoop::kReadBufferSize);
  switch (result.state) {
    case Io::Done:
      handler_->on_bytes({buffer, result.bytes});
      break;
    case Io::Again:
      return;
    case Io::Closed:
      // A level-triggered end of stream would fire for ever.
      pause_reading();
      handler_->on_eof();
      break;
    case Io::Broken:
      broken();
      break;
  }
  loop.flush_dirty();
}

Transport::IoResult Transport::receive(char* to, size_t size) {
  while (true) {
    const ssize_t n = ::recv(fd_.get(), to, size, peeking_ ? MSG_PEEK : 0);
    if (n > 0) return {Io::Done, static_cast<size_t>(n)};
    if (n == 0) return {Io::Closed, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Io::Again, 0};
    return {Io::Broken, 0};
  }
}

Transport::Io Transport::write_output() {
  if (tls_ != nullptr) return write_tls();
  return output_.empty() ? Io::Done : write_plain();
}

Transport::Io Transport::write_plain() {
  std::array<iovec, OutputBlock::kSegments> parts;
  const size_t all = output_.size();
  const size_t count = output_.gather(parts);
  while (true) {
    ssize_t n;
    if (count == 1) {
      n = ::send(fd_.get(), parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = count;
      n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    }
    if (n >= 0) {
      output_.consume(static_cast<size_t>(n));
      bytes_written_ += static_cast<uint64_t>(n);
      return static_cast<size_t>(n) == all ? Io::Done : Io::Again;
    }
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK ? Io::Again : Io::Broken;
  }
}

void Transport::schedule_flush() {
  if (dirty_ || !open()) return;
  dirty_ = true;
  loop_.schedule_flush(*this);
}

void Transport::flush() {
  if (begin_flush()) end_flush();
}

// False: there is nothing to write to.
bool Transport::begin_flush() {
  dirty_ = false;
  if (!open() || connecting_) return false;
  handler_->on_flush();
  return open();
}

void Transport::end_callback() {
  if (!begin_flush()) return;
  const size_t most = gathers_more_ ? kGatherMore : kGather;
  if (output_.size() > most || !loop_.gathers()) return end_flush();
  // What was borrowed is good until the callback ends.
  output_.settle();
  if (!std::exchange(gathered_, true)) loop_.flush_at_turn_end(*this);
}

void Transport::flush_gathered() {
  gathered_ = false;
  // With more to append it is flushed in a moment.
  if (!dirty_) end_flush();
}

void Transport::end_flush() {
  if (blocked_) {
    // The loop says when the kernel takes more; what was borrowed must not be lost until then.
    output_.settle();
    return;
  }
  if (write_failed_) return output_.clear();
  const Io result = write_output();
  if (result == Io::Broken) return write_broke();
  if (result == Io::Again || !say_end()) return block();
  if (tls_ != nullptr && !tls_->secured()) return output_.settle();
  handler_->on_drained();
}

// False: what says it could not be sent yet.
bool Transport::say_end() {
  if (!shutdown_due_) return true;
  if (tls_ != nullptr) {
    if (!tls_->secured()) return true;
    tls_->close_notify(loop_.tls_buffers().to_send);
    if (send_ciphertext() == Io::Again) return false;
  }
  shutdown_due_ = false;
  shut_ = true;
  ::shutdown(fd_.get(), SHUT_WR);
  return true;
}

void Transport::block() {
  output_.settle();
  if (blocked_) return;
  blocked_ = true;
  want_write();
}

void Transport::want_write() {
  write_event_ = std::make_unique<event>();
  event_assign(
      write_event_.get(), loop_.base(), fd_.get(), EV_WRITE | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<Transport*>(self)->on_writable(); },
      this);
  event_add(write_event_.get(), nullptr);
}

void Transport::on_writable() {
  EventLoop& loop = loop_;
  if (connecting_) {
    finish_connect();
  } else {
    event_del(write_event_.get());
    write_event_.reset();
    blocked_ = false;
    flush();
  }
  loop.flush_dirty();
}

void Transport::finish_connect() {
  event_del(write_event_.get());
  write_event_.reset();
  connecting_ = false;
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) {
    close();
    handler_->on_connected(false);
    return;
  }
  start_reading();
  handler_->on_connected(true);
}

void Transport::shutdown_write_after_flush() {
  if (shut_) return;
  shutdown_due_ = true;
  schedule_flush();
}

void Transport::write_broke() {
  if (!reads_on_) return broken();
  write_failed_ = true;
  output_.clear();
  start_reading();
}

void Transport::broken() {
  close();
  handler_->on_broken();
}

void Transport::close() {
  if (tls_ != nullptr) say_close_notify();
  if (dirty_ || gathered_) loop_.forget_flush(*this);
  if (read_due_) loop_.forget_read(*this);
  read_due_ = false;
  dirty_ = gathered_ = blocked_ = connecting_ = false;
  pause_reading();
  if (write_event_ != nullptr) {
    event_del(write_event_.get());
    write_event_.reset();
  }
  output_.clear();
  tls_.reset();
  fd_.reset();
}

void Transport::abort() {
  if (open()) {
    tls_.reset();
    const linger hard{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  }
  close();
}

}  // namespace tidegate::net
