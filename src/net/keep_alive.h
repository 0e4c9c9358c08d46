// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tidegate::net {

/// The kernel asks the peer of a silent TCP connection whether it is there, and breaks the
/// connection of one that has vanished after about two minutes: without it, a tunnel or stream that
/// has no time limit would stay for ever. Sockets accepted from a listening `fd` inherit it.
/// Nothing but a socket option is lost where it fails.
void keep_alive(int fd);

}  // namespace tidegate::net
