#pragma once

#include <string_view>

namespace sluice::io {

/// Tells who started this process how it does, by systemd's protocol (sd_notify(3)): a datagram to
/// the socket that NOTIFY_SOCKET names, "READY=1" and the like, a line each. Nothing when no such
/// name is set, or nobody reads there.
void tell_service_manager(std::string_view state);

/// "RELOADING=1", with the time that systemd wants beside it.
void tell_service_manager_of_reload();

}  // namespace sluice::io
