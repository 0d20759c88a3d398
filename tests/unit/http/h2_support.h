// Two HTTP/2 sessions that speak with each other in memory. For tests.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/h2_session.h"
#include "unit/http/h1_support.h"

namespace weir::http::test {

class Stream final : public H2Stream {
 public:
  Stream() : H2Stream(pool()) {}
};

// One end: a session, and what it was told, as text and by stream.
class End {
 public:
  explicit End(H2Session::Role role, H2Settings settings = {}) : session(role, settings, pool()) {}

  // All that it has to say. Collects what writing told.
  std::string take(size_t full_bytes = SIZE_MAX) {
    Buffer out(pool());
    session.serialise(out, full_bytes);
    collect();
    return text_of(out);
  }

  void give(std::string_view bytes) {
    while (!bytes.empty() && session.receive(bytes, now_ms)) collect();
    collect();
  }

  H2Session session;
  uint64_t now_ms = 1000;
  std::vector<std::string> told;  // "1 headers :status=200", "1 data abc", "1 end"
  std::map<int32_t, std::unique_ptr<Stream>> streams;  // a server's

 private:
  void collect() {
    using Kind = H2Event::Kind;
    for (size_t i = 0; i < session.events().size(); ++i) {
      const H2Event event = session.events()[i];
      std::string line = std::to_string(event.id);
      switch (event.kind) {
        case Kind::kHeaders:
          line += " headers";
          if (event.refused != nullptr) line += std::string(" refused:") + event.refused;
          for (const Header& field : *event.fields) {
            line += " " + std::string(field.name) + "=" + std::string(field.value);
          }
          if (event.opens) {
            streams[event.id] = std::make_unique<Stream>();
            if (!session.attach(event.id, *streams[event.id])) line += " gone";
          }
          break;
        case Kind::kData:
          line += " data " + std::string(event.data);
          session.consumed(event.id, event.data.size(), hold_windows);
          break;
        case Kind::kEnd: line += " end"; break;
        case Kind::kClosed: line += std::string(" closed ") + h2_code_word(event.code); break;
        case Kind::kDrained: line += " drained"; break;
        case Kind::kGoaway: line += std::string(" goaway ") + h2_code_word(event.code); break;
        case Kind::kSettings: line += " settings"; break;
        case Kind::kPong: line += " pong"; break;
      }
      told.push_back(std::move(line));
    }
    session.clear_events();
  }

 public:
  bool hold_windows = false;
};

struct Pair {
  explicit Pair(H2Settings server_settings = {}, H2Settings client_settings = {})
      : client(H2Session::Role::kClient, client_settings),
        server(H2Session::Role::kServer, server_settings) {
    talk();
    client.told.clear();
    server.told.clear();
  }

  // Until nobody has anything more to say.
  void talk() {
    for (int round = 0; round < 100; ++round) {
      const std::string to_server = client.take();
      server.give(to_server);
      const std::string to_client = server.take();
      client.give(to_client);
      if (to_server.empty() && to_client.empty()) return;
    }
  }

  bool ask(Stream& stream, bool end = true) {
    client.session.add_field(":method", "GET");
    client.session.add_field(":path", "/");
    return client.session.submit_request(stream, end);
  }

  void answer(int32_t id, bool end) {
    server.session.add_field(":status", "200");
    server.session.submit_response(*server.streams[id], end);
  }

  End client;
  End server;
};

using Told = std::vector<std::string>;

}  // namespace weir::http::test
