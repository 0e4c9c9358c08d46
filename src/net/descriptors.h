// SPDX-License-Identifier: Apache-2.0
// The process's descriptors. The kernel gives out the lowest free number, so the highest numbers
// are free for as long as there are others: connections of clients and to origins leave these to
// what must stay possible when those have taken all, which is the admin address, files and DNS.
#pragma once

namespace tidegate::net::descriptors {

/// Of `limit` descriptors, keeps the last few; before other threads start.
void reserve(int limit);
/// All but these.
int most_connections();

/// Connections must not keep `fd`.
bool is_reserved(int fd);
/// Nor hold it for a moment.
bool is_last(int fd);

}  // namespace tidegate::net::descriptors
