#include "fake_kernel.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

namespace weir::micro {

namespace {

struct State {
  int client = -1;  // -1: everything is real
  int server = -1;
  int readable = -1;  // whose turn it is
  std::string request;
  std::string answer;
  Played played;
  size_t offset = 0;
  uint32_t numbers = 0;  // 0: every request is the same
  uint64_t turn = 0;
};

// Of the worker's thread. Others (the access log's) find nothing played.
thread_local State state;

bool is_played(int fd) { return fd >= 0 && (fd == state.client || fd == state.server); }

void write_number(std::string& request) {
  constexpr uint64_t kStride = 0x9e3779b1;  // a prime: it meets every number
  const uint64_t number = state.turn++ * kStride % state.numbers;
  for (unsigned i = 0; i < 8; ++i) {
    request[state.offset + i] = "0123456789abcdef"[number >> (4 * i) & 15];
  }
}

ssize_t play_read(int fd, void* to, size_t bytes) {
  if (fd == state.client && state.numbers != 0) write_number(state.request);
  const std::string& from = fd == state.client ? state.request : state.answer;
  state.readable = -1;
  const size_t given = std::min(bytes, from.size());
  std::memcpy(to, from.data(), given);
  return static_cast<ssize_t>(given);
}

ssize_t play_write(int fd, size_t bytes) {
  if (fd == state.client) {
    state.played.client_bytes += bytes;
    ++state.played.answers;
    state.readable = state.client;
  } else {
    state.played.server_bytes += bytes;
    state.readable = state.server;
  }
  return static_cast<ssize_t>(bytes);
}

int play_wait(epoll_event* events) {
  events[0] = {};
  events[0].events = EPOLLIN;
  events[0].data.fd = state.readable;  // what libuv has put there
  return 1;
}

}  // namespace

void start_playing(int client, std::string request, int server, std::string answer) {
  state = {client, server, client, std::move(request), std::move(answer), {}, 0, 0, 0};
}

void vary_request(size_t offset, uint32_t numbers) {
  state.offset = offset;
  state.numbers = numbers;
}

void stop_playing() { state.client = state.server = state.readable = -1; }

const Played& played() { return state.played; }

}  // namespace weir::micro

using weir::micro::is_played;
using weir::micro::play_read;
using weir::micro::play_wait;
using weir::micro::play_write;
using weir::micro::state;

extern "C" {

ssize_t recv(int fd, void* to, size_t bytes, int flags) {
  if (is_played(fd)) return play_read(fd, to, bytes);
  return syscall(SYS_recvfrom, fd, to, bytes, flags, nullptr, nullptr);
}

ssize_t send(int fd, const void* from, size_t bytes, int flags) {
  if (is_played(fd)) return play_write(fd, bytes);
  return syscall(SYS_sendto, fd, from, bytes, flags, nullptr, 0);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (!is_played(fd)) return syscall(SYS_sendmsg, fd, message, flags);
  size_t bytes = 0;
  for (size_t i = 0; i < message->msg_iovlen; ++i) bytes += message->msg_iov[i].iov_len;
  return play_write(fd, bytes);
}

int epoll_wait(int epoll, epoll_event* events, int max, int timeout_ms) {
  if (state.readable >= 0) return play_wait(events);
  return static_cast<int>(syscall(SYS_epoll_wait, epoll, events, max, timeout_ms));
}

int epoll_pwait(int epoll, epoll_event* events, int max, int timeout_ms, const sigset_t* mask) {
  if (state.readable >= 0) return play_wait(events);
  return static_cast<int>(
      syscall(SYS_epoll_pwait, epoll, events, max, timeout_ms, mask, _NSIG / 8));
}

}  // extern "C"
