// A server that does what each request tells it to, in an X-Script field:
//
//   X-Script: kind=chunked; read=all; cut=17; end=rst; step=3
//
// kind: which answer (canned()). read: all of the request, or only its head, before it answers.
// cut: after that many bytes of the answer it ends the connection as `end` says: fin or rst. step:
// so many bytes per write. Without cut the connection is kept. The request's X-Id comes back.
#pragma once

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/sockets.h"

namespace weir::test {

inline constexpr size_t kBigBytes = 300'000;

// The whole answer of a kind, as it leaves the server. `id` is part of it.
inline std::string canned(std::string_view kind, std::string_view id) {
  const std::string tag = "X-Id: " + std::string(id) + "\r\n";
  const std::string ok = "HTTP/1.1 200 OK\r\n" + tag;
  if (kind == "chunked") {
    return ok +
           "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: 1\r\n\r\n";
  }
  if (kind == "close") return ok + "Connection: close\r\n\r\nhello world";
  if (kind == "interim") {
    return "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok +
           "Content-Length: 11\r\n\r\nhello world";
  }
  if (kind == "none") return "HTTP/1.1 204 No Content\r\n" + tag + "\r\n";
  if (kind == "upgrade") {
    return "HTTP/1.1 101 Switching Protocols\r\n" + tag +
           "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  }
  if (kind == "big") {
    return ok + "Content-Length: " + std::to_string(kBigBytes) + "\r\n\r\n" +
           std::string(kBigBytes, 'b');
  }
  if (kind == "garbage") return "HTTP/1.1 2OO fine\r\n\r\n";
  return ok + "Content-Length: 11\r\n\r\nhello world";
}

class ScriptedOrigin {
 public:
  // That many connections are served at a time.
  explicit ScriptedOrigin(size_t threads = 24) : listener_(listen_anywhere()) {
    for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { accept_all(); });
  }
  ~ScriptedOrigin() {
    stopping_.store(true);
    for (std::thread& thread : threads_) thread.join();
  }
  ScriptedOrigin(const ScriptedOrigin&) = delete;
  ScriptedOrigin& operator=(const ScriptedOrigin&) = delete;

  uint16_t port() const { return port_of(listener_); }
  uint64_t requests() const { return requests_.load(); }

 private:
  static constexpr int kPollMs = 20;

  static std::string field(const std::string& head, const std::string& name) {
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const size_t begin = at + 2 + name.size() + 2;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
  static std::string option(const std::string& script, const std::string& name,
                            const std::string& standard) {
    const size_t at = script.find(name + "=");
    if (at == std::string::npos) return standard;
    const size_t begin = at + name.size() + 1;
    return script.substr(begin, script.find(';', begin) - begin);
  }

  void accept_all() {
    while (!stopping_.load()) {
      Socket client = accept_one();
      if (!client.valid()) continue;
      std::string buffer;
      while (!stopping_.load() && serve(client, buffer)) continue;
    }
  }

  // One thread waits at a time: the others are not woken for nothing.
  Socket accept_one() {
    const std::lock_guard lock(accepting_);
    return stopping_.load() ? Socket() : accept_from(listener_, kPollMs);
  }

  // More of the request into `buffer`; false at its end, or when the test ends.
  bool fill(Socket& client, std::string& buffer) {
    for (;;) {
      pollfd entry = {client.fd(), POLLIN, 0};
      if (::poll(&entry, 1, kPollMs) > 0) break;
      if (stopping_.load()) return false;
    }
    const std::string piece = client.receive();
    buffer += piece;
    return !piece.empty();
  }

  // One request and its answer; false when the connection is over.
  bool serve(Socket& client, std::string& buffer) {
    size_t end = buffer.find("\r\n\r\n");
    while (end == std::string::npos) {
      if (!fill(client, buffer)) return false;
      end = buffer.find("\r\n\r\n");
    }
    requests_.fetch_add(1);
    const std::string head = buffer.substr(0, end + 4);
    buffer.erase(0, end + 4);
    const std::string script = field(head, "X-Script");
    if (option(script, "read", "all") == "all" && !read_body(client, head, buffer)) return false;
    const std::string kind = option(script, "kind", "length");
    std::string answer = canned(kind, field(head, "X-Id"));
    if (head.starts_with("HEAD ")) answer.resize(answer.find("\r\n\r\n") + 4);
    return send_answer(client, script, answer, kind);
  }

  bool read_body(Socket& client, const std::string& head, std::string& buffer) {
    if (field(head, "Transfer-Encoding") == "chunked") {
      while (!buffer.ends_with("\r\n\r\n")) {  // weir sends no second request before the answer
        if (!fill(client, buffer)) return false;
      }
      buffer.clear();
      return true;
    }
    const size_t bytes = std::strtoull(field(head, "Content-Length").c_str(), nullptr, 10);
    while (buffer.size() < bytes) {
      if (!fill(client, buffer)) return false;
    }
    buffer.erase(0, bytes);
    return true;
  }

  bool send_answer(Socket& client, const std::string& script, std::string_view answer,
                   const std::string& kind) {
    const std::string cut = option(script, "cut", "");
    if (!cut.empty()) answer = answer.substr(0, std::strtoull(cut.c_str(), nullptr, 10));
    const size_t step = std::strtoull(option(script, "step", "1000000").c_str(), nullptr, 10);
    while (!answer.empty()) {
      if (!client.send(answer.substr(0, step))) return false;
      answer.remove_prefix(std::min(step, answer.size()));
    }
    if (cut.empty() && kind == "upgrade") echo(client);
    if (!cut.empty() && option(script, "end", "fin") == "rst") client.reset();
    return cut.empty() && kind != "upgrade" && kind != "close" &&
           option(script, "read", "all") == "all";
  }

  void echo(Socket& client) {
    std::string bytes;
    while (fill(client, bytes)) {
      if (!client.send(bytes)) return;
      bytes.clear();
    }
  }

  Socket listener_;
  std::mutex accepting_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> requests_{0};
  std::vector<std::thread> threads_;
};

}  // namespace weir::test
