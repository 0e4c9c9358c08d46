// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tidegate::server {

/// Prepares the process for serving; once, before any thread starts:
/// - Descriptors 0 to 2 are open, so that no connection gets the number that logs are written to.
/// - No signal ends the process but those that ask for it: a reader that went away (SIGPIPE), a
/// file
///   at its size limit (SIGXFSZ) and timers that are not ours do nothing. Write errors say the
///   rest.
/// - SIGHUP, SIGUSR1 and SIGUSR2 wait until `release_signals`, for which they are watched.
void prepare_process();
/// The signals that wait are delivered.
void release_signals();

/// As many descriptors as the system allows this process, of which some are reserved
/// (net/descriptors.h).
void raise_open_files_limit();

}  // namespace tidegate::server
