#include "tools/privileges.h"

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice::tools {
namespace {

std::unexpected<std::string> failure(const std::string& what) {
  return std::unexpected(fmt::format("cannot {}: {}", what, std::strerror(errno)));
}

bool keep_only(unsigned capability) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  data[CAP_TO_INDEX(capability)].permitted = data[CAP_TO_INDEX(capability)].effective =
      CAP_TO_MASK(capability);
  return ::syscall(SYS_capset, &header, data) == 0;
}

}  // namespace

std::expected<void, std::string> become(const std::string& user,
                                        const std::vector<std::string>& folders) {
  const passwd* const entry = ::getpwnam(user.c_str());
  if (!entry) return std::unexpected(fmt::format("engine.user: there is no user {:?}", user));
  for (const std::string& folder : folders) {
    if (::mkdir(folder.c_str(), 0750) == 0) {
      if (::chown(folder.c_str(), entry->pw_uid, entry->pw_gid) < 0)
        return failure(fmt::format("give {} to {}", folder, user));
    } else if (errno != EEXIST) {
      return failure("create " + folder);
    }
  }
  if (::initgroups(user.c_str(), entry->pw_gid) < 0 || ::prctl(PR_SET_KEEPCAPS, 1) < 0 ||
      ::setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) < 0 ||
      ::setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) < 0 ||
      !keep_only(CAP_NET_BIND_SERVICE) || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return failure("become user " + user);
  return {};
}

bool has_foreign_rights() { return ::getauxval(AT_SECURE) != 0; }

}  // namespace sluice::tools
