#include "sockets.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "admin/admin.h"
#include "base/log.h"
#include "net/listener.h"

namespace weir {

namespace {

void close_all(std::vector<int>& fds) {
  for (const int fd : fds) close(fd);
  fds.clear();
}

// Not by F_DUPFD_CLOEXEC: the thread sanitizer sees only dup3(2) make a descriptor, and would take
// the copy for the client's socket that had the number before (libuv closes those unseen by it).
int copy_of(int fd) {
  const int copy = eventfd(0, EFD_CLOEXEC);
  if (copy < 0 || dup3(fd, copy, O_CLOEXEC) >= 0) return copy;
  const int error = errno;
  close(copy);
  errno = error;
  return -1;
}

// Before there are threads: it can be read only by setting it.
mode_t current_umask() {
  const mode_t mask = umask(077);
  umask(mask);
  return mask;
}

uint64_t number_of(const char* text) {
  uint64_t number = 0;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), number);
  return number;
}

}  // namespace

std::vector<InheritedSocket> inherited_sockets() {
  constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
  constexpr uint64_t kSocketsMax = 1000;
  std::vector<InheritedSocket> sockets;
  const uint64_t count = std::min(number_of(std::getenv("LISTEN_FDS")), kSocketsMax);
  if (number_of(std::getenv("LISTEN_PID")) == static_cast<uint64_t>(getpid())) {
    const char* text = std::getenv("LISTEN_FDNAMES");
    std::string_view names = text == nullptr ? std::string_view() : text;
    for (int fd = kFirst; fd < kFirst + static_cast<int>(count); ++fd) {
      const size_t colon = names.find(':');
      fcntl(fd, F_SETFD, FD_CLOEXEC);
      fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
      sockets.push_back({fd, std::string(names.substr(0, colon))});
      names = colon == std::string_view::npos ? std::string_view() : names.substr(colon + 1);
    }
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
  return sockets;
}

SocketSet::SocketSet(size_t workers, std::vector<InheritedSocket> inherited)
    : workers_(workers), usual_mode_(0777 & ~current_umask()) {
  for (InheritedSocket& socket : inherited) {
    const net::SocketAddress bound = net::bound_address(socket.fd);
    inherited_.push_back({std::move(socket), bound, false});
  }
}

SocketSet::~SocketSet() {
  close_copies();
  for (const Spare& spare : inherited_) close(spare.socket.fd);
}

std::vector<SocketSet::Want> SocketSet::all_of(const Wanted& wanted) {
  std::vector<Want> all;
  for (const proxy::ListenerConfig& listener : wanted.listeners) all.push_back({listener, false});
  for (const proxy::ListenerConfig& listener : wanted.admin) all.push_back({listener, true});
  return all;
}

SocketSet::File SocketSet::file_at(const net::SocketAddress& address) {
  struct stat status = {};
  if (!address.is_unix() || stat(address.unix_path.sun_path, &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

Result<SocketSet::Plan> SocketSet::prepare(const Wanted& wanted) {
  Plan plan;
  const std::vector<Want> all = all_of(wanted);
  std::vector<bool> taken(next_slot_);
  std::vector<uint32_t> slots(all.size());
  std::vector<size_t> missing;
  for (Spare& spare : inherited_) spare.used = false;
  for (size_t i = 0; i < all.size(); ++i) {
    const Open* const kept = find(all[i], taken);
    if (kept == nullptr) {
      missing.push_back(i);
      continue;
    }
    slots[i] = kept->slot;
    taken[kept->slot] = true;
    for (Spare& spare : inherited_) spare.used |= spare.bound == kept->bound;
  }
  for (const size_t i : missing) {
    Result<Opened> opened = open(all[i]);
    if (!opened.ok()) {
      abandon(plan);
      return Result<Plan>::failure("listener " + all[i].listener.name + ": " + opened.error());
    }
    opened.value().slot = next_slot_ + static_cast<uint32_t>(plan.opened.size());
    slots[i] = opened.value().slot;
    plan.opened.push_back(std::move(opened.value()));
  }
  const auto admin = slots.begin() + static_cast<std::ptrdiff_t>(wanted.listeners.size());
  plan.slots.assign(slots.begin(), admin);
  plan.admin_slots.assign(admin, slots.end());
  return plan;
}

// The address makes a listener, its name may change; but every port 0 is a listener of its own.
const SocketSet::Open* SocketSet::find(const Want& want, const std::vector<bool>& taken) const {
  const net::SocketAddress& address = want.listener.address;
  const bool any_port = !address.is_unix() && address.port() == 0;
  for (const Open& open : open_) {
    if (taken[open.slot] || open.admin != want.admin) continue;
    if (open.v6_only != want.listener.socket.v6_only) continue;
    if (open.copy >= 0 && !(open.file == file_at(open.address))) continue;
    if (open.bound == address) return &open;
    if (open.address == address && (!any_port || open.name == want.listener.name)) return &open;
  }
  return nullptr;
}

Result<SocketSet::Opened> SocketSet::open(const Want& want) {
  const proxy::ListenerConfig& listener = want.listener;
  const size_t count = want.admin ? 1 : workers_;
  Opened opened;
  opened.admin = want.admin;
  if (Spare* spare = spare_for(listener)) {
    opened.inherited = true;
    for (size_t i = 0; i < count; ++i) {
      const int copy = copy_of(spare->socket.fd);
      if (copy < 0) {
        close_all(opened.fds);
        return Result<Opened>::failure(std::string("inherited socket: ") + strerror(errno));
      }
      opened.fds.push_back(copy);
    }
    net::tune_listening_socket(opened.fds.front(), listener.socket);
    spare->used = true;
    if (!(spare->bound == listener.address)) {
      log_warn("listener {}: the inherited socket listens on {}, not on {}", listener.name,
               spare->bound.text(), listener.address.text());
    }
    return opened;
  }
  Result<std::vector<int>> fds = open_own(want, count);
  if (!fds.ok()) return Result<Opened>::failure(fds.error());
  opened.fds = std::move(fds.value());
  return opened;
}

// What listens there already for the other of admin and listeners; -1: nothing.
int SocketSet::handed_over(const net::SocketAddress& address) const {
  for (const Open& open : open_) {
    if (open.copy >= 0 && open.address == address && open.file == file_at(address)) {
      return copy_of(open.copy);
    }
  }
  return -1;
}

Result<std::vector<int>> SocketSet::open_own(const Want& want, size_t count) {
  using Out = Result<std::vector<int>>;
  net::SocketAddress address = want.listener.address;
  net::ListenOptions options = want.listener.socket;
  if (want.admin) options.unix_mode = admin::kSocketMode;
  std::vector<int> fds;
  // Sockets that share a port would share it with a second weir, too, and nobody would know.
  if (!address.is_unix() && !own_ports_.contains(address.port())) {
    if (std::string why = net::why_not_free(address, want.listener.socket); !why.empty())
      return Out::failure(why);
  }
  if (const int fd = handed_over(address); fd >= 0) {
    net::tune_listening_socket(fd, options);
    fds.push_back(fd);
  }
  while (fds.size() < count) {
    if (address.is_unix() && !fds.empty()) {  // a path is bound once: all watch the same socket
      const int copy = copy_of(fds.front());
      if (copy < 0) {
        const std::string why = strerror(errno);
        close_all(fds);
        return Out::failure("cannot listen on " + address.text() + ": " + why);
      }
      fds.push_back(copy);
      continue;
    }
    Result<int> fd = net::open_listening_socket(address, options);
    if (!fd.ok()) {
      close_all(fds);
      return Out::failure(fd.error());
    }
    fds.push_back(fd.value());
    address = net::bound_address(fd.value());  // port 0: the others take the same one
  }
  if (!address.is_unix()) own_ports_.insert(address.port());
  return fds;
}

// By the name that the socket unit gives it, else by its address.
SocketSet::Spare* SocketSet::spare_for(const proxy::ListenerConfig& listener) {
  for (Spare& spare : inherited_) {
    if (!spare.used && spare.socket.name == listener.name) return &spare;
  }
  for (Spare& spare : inherited_) {
    if (!spare.used && spare.bound == listener.address) return &spare;
  }
  return nullptr;
}

SocketSet::Open SocketSet::entry_of(const Want& want, uint32_t slot, const Plan& plan) {
  Open entry = {
      slot, want.admin, want.listener.name, want.listener.address, want.listener.socket.v6_only,
      {},   false};
  for (Open& before : open_) {
    if (before.slot != slot) continue;
    entry.bound = before.bound;
    entry.inherited = before.inherited;
    entry.file = before.file;
    entry.copy = std::exchange(before.copy, -1);
  }
  for (const Opened& opened : plan.opened) {
    if (opened.slot != slot) continue;
    entry.bound = net::bound_address(opened.fds.front());
    entry.inherited = opened.inherited;
    if (!entry.bound.is_unix() || entry.inherited) continue;
    entry.copy = copy_of(opened.fds.front());
    entry.file = file_at(entry.bound);
    set_mode(want);
  }
  return entry;
}

// A socket that was handed over has the mode of its former life.
void SocketSet::set_mode(const Want& want) const {
  const net::SocketAddress& address = want.listener.address;
  const mode_t mode = want.admin ? admin::kSocketMode : usual_mode_;
  struct stat status = {};
  if (stat(address.unix_path.sun_path, &status) != 0 || (status.st_mode & 07777) == mode) return;
  if (chmod(address.unix_path.sun_path, mode) == 0) return;
  log_warn("listener {}: the mode of {} stays: {}", want.listener.name, address.text(),
           strerror(errno));
}

void SocketSet::commit(const Wanted& wanted, const Plan& plan) {
  std::vector<Open> now;
  const std::vector<Want> all = all_of(wanted);
  for (size_t i = 0; i < all.size(); ++i) {
    const size_t listeners = plan.slots.size();
    const uint32_t slot = i < listeners ? plan.slots[i] : plan.admin_slots[i - listeners];
    now.push_back(entry_of(all[i], slot, plan));
  }
  close_copies();
  open_ = std::move(now);
  for (Spare& spare : inherited_) {
    spare.used = std::any_of(open_.begin(), open_.end(), [&](const Open& open) {
      return open.inherited && open.bound == spare.bound;
    });
  }
  next_slot_ += static_cast<uint32_t>(plan.opened.size());
}

std::vector<net::SocketAddress> SocketSet::bound_listeners() const {
  std::vector<net::SocketAddress> bound;
  for (const Open& open : open_) {
    if (!open.admin) bound.push_back(open.bound);
  }
  return bound;
}

void SocketSet::close_copies() {
  for (Open& open : open_) {
    if (open.copy >= 0) close(std::exchange(open.copy, -1));
  }
}

void SocketSet::abandon(Plan& plan) {
  for (Opened& opened : plan.opened) close_all(opened.fds);
  plan.opened.clear();
}

std::vector<std::string> SocketSet::unused_inherited() const {
  std::vector<std::string> unused;
  for (const Spare& spare : inherited_) {
    if (!spare.used) unused.push_back(spare.bound.text());
  }
  return unused;
}

}  // namespace weir
