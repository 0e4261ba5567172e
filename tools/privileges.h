#pragma once

#include <expected>
#include <string>
#include <vector>

namespace sluice::tools {

/// From root to `user`, for good: with its groups, and of root's rights only the one to bind ports
/// below 1024 (CAP_NET_BIND_SERVICE; a reload may bind them too). `folders` that are missing are
/// made for it, with mode 0750. To be called while the process has one thread and no ring: a
/// ring's kernel threads keep the rights they began with. The error is one line.
std::expected<void, std::string> become(const std::string& user,
                                        const std::vector<std::string>& folders);

/// The process runs with rights that its caller lacks (set-user-ID): nothing of his may steer it
/// but what sendmail's arguments and input are for.
bool has_foreign_rights();

}  // namespace sluice::tools
