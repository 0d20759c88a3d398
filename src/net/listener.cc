#include "net/listener.h"

#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "net/open_files.h"
#include "net/worker.h"

namespace weir::net {

namespace {

// What the kernel takes of an answer beyond what it can send at once. It would take 4 MB of each
// client that does not read, and a thousand of them fill the memory of TCP for everybody.
constexpr int kUnsentBytes = 128 * 1024;

// True when the path is a socket that refuses connections: left over from a process that died.
bool is_stale_unix_socket(const SocketAddress& address) {
  struct stat status = {};
  if (stat(address.unix_path.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool stale = connect(probe, &address.any, address.length) != 0 && errno == ECONNREFUSED;
  close(probe);
  return stale;
}

int open_socket(const SocketAddress& address, const ListenOptions& options) {
  const int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd >= 0 && !address.is_unix()) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  }
  if (fd >= 0 && address.any.sa_family == AF_INET6) {
    const int v6_only = options.v6_only ? 1 : 0;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only));
  }
  return fd;
}

// A peer that answers no probe is given up after twice the silence.
void set_keepalive(int fd, uint32_t silence_s) {
  const int on = silence_s > 0 ? 1 : 0;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  if (on == 0) return;
  constexpr int kProbes = 4;
  const int silence = static_cast<int>(silence_s);
  const int interval = std::max(1, silence / kProbes);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &silence, sizeof(silence));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof(kProbes));
}

}  // namespace

std::string why_not_free(const SocketAddress& address, const ListenOptions& options) {
  if (address.is_unix() || address.port() == 0) return {};
  const int probe = open_socket(address, options);
  if (probe < 0 || bind(probe, &address.any, address.length) == 0) {
    if (probe >= 0) close(probe);
    return {};
  }
  const int error = errno;
  close(probe);
  return "cannot listen on " + address.text() + ": " + strerror(error);
}

bool tune_listening_socket(int fd, const ListenOptions& options) {
  if (!bound_address(fd).is_unix()) {  // accepted sockets inherit it: no system call for each
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes, sizeof(kUnsentBytes));
    set_keepalive(fd, options.keepalive_s);
  }
  return listen(fd, options.backlog) == 0;
}

Result<int> open_listening_socket(const SocketAddress& address, const ListenOptions& options) {
  const auto fail = [&](const char* what) {
    return Result<int>::failure(std::string(what) + " " + address.text() + ": " + strerror(errno));
  };
  const int fd = open_socket(address, options);
  if (fd < 0) return fail("socket for");
  const int on = 1;
  if (address.is_unix()) {
    if (is_stale_unix_socket(address)) unlink(address.unix_path.sun_path);
  } else {
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  }
  const auto set_mode = [&] {
    if (!address.is_unix() || options.unix_mode == 0) return true;
    return chmod(address.unix_path.sun_path, options.unix_mode) == 0;
  };
  if (bind(fd, &address.any, address.length) != 0 || !set_mode() ||
      !tune_listening_socket(fd, options)) {
    const auto failure = fail("cannot listen on");
    close(fd);
    return failure;
  }
  return fd;
}

SocketAddress bound_address(int fd) {
  SocketAddress address;
  address.length = sizeof(address.unix_path);
  WEIR_CHECK(getsockname(fd, &address.any, &address.length) == 0);
  return address;
}

Listener::Listener(Worker& worker, Acceptor& acceptor, int fd, uint32_t slot, bool uses_reserve)
    : worker_(worker),
      acceptor_(acceptor),
      fd_(fd),
      slot_(slot),
      address_(bound_address(fd)),
      pause_timer_(worker.timers(), this, &Timer::call<Listener, &Listener::look_again>),
      uses_reserve_(uses_reserve),
      clients_end_(clients_end()) {
  WEIR_CHECK(uv_poll_init(worker.loop(), &poll_, fd) == 0);
  poll_.data = this;
  op_started();
  watch();
}

Listener::~Listener() { WEIR_CHECK(fd_ < 0); }

void Listener::watch() {
  if (over_) return;
  uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
    auto* listener = static_cast<Listener*>(poll->data);
    Turn turn(listener->worker_);
    listener->accept_some();
  });
}

// True when there may be more.
bool Listener::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn && !over_; ++i) {
    SocketAddress peer;
    peer.length = sizeof(peer.unix_path);
    const int fd = accept4(fd_, &peer.any, &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      acceptor_.on_accepted(*this, fd, peer);
      // The kernel gives out the lowest free number: all below it are in use.
      if (fd >= clients_end_) {
        pause("nearly all file descriptors are in use");
        return false;
      }
      continue;
    }
    switch (errno) {
      case EAGAIN: return false;
      case EINTR:
      case ECONNABORTED: continue;
      default: pause(strerror(errno)); return false;
    }
  }
  return true;
}

// Out of descriptors or memory: level-triggered readiness would spin, so look again a little later.
void Listener::pause(const char* why) {
  if (over_) return;
  if (worker_.now_ms() >= warn_again_ms_) {
    warn_again_ms_ = worker_.now_ms() + kWarnEveryMs;
    log_warn("listener {}: {}; pausing: new clients wait", address_.text(), why);
  }
  uv_poll_stop(&poll_);
  pause_timer_.arm_ms(kPauseMs);
}

void Listener::serve_queue() {
  constexpr int kTurnsMax = 1024;  // new ones may come as fast as they are taken
  for (int i = 0; i < kTurnsMax && !over_ && accept_some(); ++i) {
  }
}

void Listener::look_again() {
  clients_end_ = clients_end();  // the limit can be moved from outside
  const int next = eventfd(0, EFD_CLOEXEC);
  if (next >= 0) close(next);
  if (next < 0 || next >= clients_end_) {
    pause_timer_.arm_ms(kPauseMs);
  } else {
    watch();
  }
}

int Listener::clients_end() const {
  if (uses_reserve_) return INT_MAX;
  return static_cast<int>(std::min<uint64_t>(descriptors_for_clients(), INT_MAX));
}

void Listener::end() {
  if (over_) return;
  over_ = true;
  pause_timer_.cancel();
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
    auto* listener = static_cast<Listener*>(handle->data);
    Turn turn(listener->worker_);
    listener->op_done(listener->worker_);
  });
  // Now, not with the object: who connects from here on is refused, not forgotten.
  close(std::exchange(fd_, -1));
}

}  // namespace weir::net
