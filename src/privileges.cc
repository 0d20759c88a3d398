#include "privileges.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace weir {

namespace {

struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
};

bool find_account(const std::string& user, Account& out) {
  passwd entry = {};
  passwd* found = nullptr;
  char texts[16384];
  if (getpwnam_r(user.c_str(), &entry, texts, sizeof(texts), &found) != 0) return false;
  if (found == nullptr) return false;
  out = {found->pw_uid, found->pw_gid};
  return true;
}

// Leaves CAP_NET_BIND_SERVICE alone, in so far as the process has it.
bool keep_low_ports() {
  constexpr uint32_t kLowPorts = 1u << CAP_NET_BIND_SERVICE;
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  const uint32_t kept = data[0].permitted & kLowPorts;
  data[0] = {kept, kept, 0};
  data[1] = {0, 0, 0};
  return syscall(SYS_capset, &header, data) == 0;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::string become(const std::string& user) {
  Account account;
  if (!find_account(user, account)) return "user: there is no \"" + user + "\" on this system";
  if (geteuid() != 0) {
    if (geteuid() != account.uid) log_warn("user: not started as root, so it stays as it is");
    return {};
  }
  if (account.uid == 0) return {};
  const auto why = [&user](const char* what) {
    return "user " + user + ": " + what + ": " + strerror(errno);
  };
  if (initgroups(user.c_str(), account.gid) != 0) return why("groups");
  if (setresgid(account.gid, account.gid, account.gid) != 0) return why("group");
  if (prctl(PR_SET_KEEPCAPS, 1) != 0) return why("capabilities");
  if (setresuid(account.uid, account.uid, account.uid) != 0) return why("user");
  if (!keep_low_ports()) return why("capabilities");
  return {};
}

void hand_over(const std::string& user, const std::string& path) {
  Account account;
  if (geteuid() != 0 || !find_account(user, account)) return;
  if (lchown(path.c_str(), account.uid, account.gid) != 0) {
    log_warn("user {}: {} stays root's: {}", user, path, strerror(errno));
  }
}

void hand_over(const std::string& user, int listening_fd) {
  Account account;
  if (geteuid() != 0 || !find_account(user, account)) return;
  if (fchown(listening_fd, account.uid, account.gid) != 0) {
    log_warn("user {}: a listening socket stays root's: {}", user, strerror(errno));
  }
}

std::vector<std::string> seen_as(const std::string& user,
                                 const std::function<std::vector<std::string>()>& look) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    std::vector<std::string> lines;
    if (const std::string failure = become(user); failure.empty()) {
      lines = look();
    } else {
      lines.push_back(failure);
    }
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    (void)!write(ends[1], text.data(), text.size());
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char chunk[4096];
  for (ssize_t got = 0; (got = read(ends[0], chunk, sizeof(chunk))) > 0;) {
    text.append(chunk, static_cast<size_t>(got));
  }
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end == std::string::npos ? text.size() : end + 1;
  }
  return lines;
}

bool can_append(const std::string& path) {
  if (access(path.c_str(), F_OK) == 0) return access(path.c_str(), W_OK) == 0;
  return access(folder_of(path).c_str(), W_OK | X_OK) == 0;
}

}  // namespace weir
