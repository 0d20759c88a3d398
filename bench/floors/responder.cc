// The bare responder: answers GET /1k, /16k and /1m with fixed bodies and looks for nothing in a
// request but its end, its path and `Connection: close`. Two of them are the origins of every
// scenario; one on the proxy's CPU is the floor for an answer from memory.
//
//   responder --listen 127.0.0.1:8001 [--listen unix:/tmp/o.sock …]
//
// One thread, level-triggered epoll, two syscalls per small request. Runs until killed.

#include <unistd.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "net.h"

namespace weir::bench {
namespace {

constexpr std::size_t kHeadMaxBytes = 8192;
constexpr int kEventsPerWait = 256;
constexpr std::string_view kEndOfHead = "\r\n\r\n";

std::string make_answer(std::string_view status, std::size_t body_bytes, bool last) {
  std::string answer = "HTTP/1.1 ";
  answer += status;
  answer +=
      "\r\nServer: responder\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
      "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-cache\r\n"
      "ETag: \"5f3b-1a2b3c4d5e6f7\"\r\nLast-Modified: Wed, 31 Dec 2025 00:00:00 GMT\r\n"
      "Content-Length: " +
      std::to_string(body_bytes) + "\r\n";
  if (last) answer += "Connection: close\r\n";
  answer += "\r\n";
  answer.append(body_bytes, 'x');
  return answer;
}

class Answers {
 public:
  const std::string& choose(std::string_view head, bool last) const {
    const Pair& pair = head.starts_with("GET /1k ")    ? small_
                       : head.starts_with("GET /16k ") ? medium_
                       : head.starts_with("GET /1m ")  ? large_
                                                       : missing_;
    return last ? pair.last : pair.kept;
  }

 private:
  struct Pair {
    Pair(std::string_view status, std::size_t body_bytes)
        : kept(make_answer(status, body_bytes, false)),
          last(make_answer(status, body_bytes, true)) {}
    std::string kept;
    std::string last;
  };

  Pair small_{"200 OK", 1024};
  Pair medium_{"200 OK", 16 * 1024};
  Pair large_{"200 OK", 1024 * 1024};
  Pair missing_{"404 Not Found", 0};
};

// What an epoll event points at: a listener, or a client with its one request.
struct Source {
  int fd = -1;
  bool is_listener = false;
};

struct Client : Source {
  std::array<char, kHeadMaxBytes> in;
  std::size_t in_used = 0;
  const std::string* answer = nullptr;  // being written
  std::size_t answer_sent = 0;
  bool last = false;
  bool wants_write = false;
};

class Responder {
 public:
  void listen(const std::string& at) {
    auto source = std::make_unique<Source>();
    source->fd = listen_on(parse_endpoint(at));
    source->is_listener = true;
    watch(epoll_fd_, EPOLL_CTL_ADD, source->fd, EPOLLIN, source.get());
    listeners_.push_back(std::move(source));
  }

  [[noreturn]] void run() {
    std::array<epoll_event, kEventsPerWait> events;
    for (;;) {
      const int ready = ::epoll_wait(epoll_fd_, events.data(), kEventsPerWait, -1);
      if (ready < 0 && errno != EINTR) die("epoll_wait");
      for (int i = 0; i < ready; ++i) {
        Source* source = static_cast<Source*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (source->is_listener) {
          accept(source->fd);
        } else {
          serve(static_cast<Client*>(source));
        }
      }
    }
  }

 private:
  void accept(int listener) {
    const int fd = accept_from(listener);
    if (fd < 0) return;
    auto* client = new Client;  // freed in drop(): the epoll set holds the only reference
    client->fd = fd;
    watch(epoll_fd_, EPOLL_CTL_ADD, fd, EPOLLIN, client);
  }

  // One event: finishes the answer under way, else reads. A client has one fd, so at most one event
  // per wait, and may be freed here.
  void serve(Client* client) {
    if (client->answer == nullptr) {
      const ssize_t got = ::read(client->fd, client->in.data() + client->in_used,
                                 client->in.size() - client->in_used);
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return drop(client);
      client->in_used += static_cast<std::size_t>(got);
    }
    for (;;) {
      if (client->answer == nullptr && !take_request(client)) break;
      if (!write_answer(client)) return;
    }
    if (client->in_used == client->in.size()) drop(client);  // a head that never ends
  }

  bool take_request(Client* client) {
    const std::string_view in(client->in.data(), client->in_used);
    const std::size_t end = in.find(kEndOfHead);
    if (end == std::string_view::npos) return false;
    const std::string_view head = in.substr(0, end + 2);
    client->last = head.find("\r\nConnection: close\r\n") != std::string_view::npos;
    client->answer = &answers_.choose(head, client->last);
    client->answer_sent = 0;
    const std::size_t taken = end + kEndOfHead.size();
    client->in_used -= taken;
    std::memmove(client->in.data(), client->in.data() + taken, client->in_used);
    return true;
  }

  // True when the whole answer left and the client stays; false when it must wait or is gone.
  bool write_answer(Client* client) {
    const std::string_view rest = std::string_view(*client->answer).substr(client->answer_sent);
    const ssize_t sent = ::send(client->fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return drop(client), false;
    if (sent > 0) client->answer_sent += static_cast<std::size_t>(sent);
    const bool done = client->answer_sent == client->answer->size();
    if (done && client->last) return drop(client), false;
    if (done) client->answer = nullptr;
    if (client->wants_write == done) {
      client->wants_write = !done;
      watch(epoll_fd_, EPOLL_CTL_MOD, client->fd, done ? EPOLLIN : EPOLLOUT, client);
    }
    return done;
  }

  void drop(Client* client) {
    ::close(client->fd);
    delete client;
  }

  const int epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  Answers answers_;
  std::vector<std::unique_ptr<Source>> listeners_;
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  const weir::bench::Arguments arguments(argc, argv);
  weir::bench::Responder responder;
  for (const std::string& at : arguments.all("listen")) responder.listen(at);
  responder.run();
}
