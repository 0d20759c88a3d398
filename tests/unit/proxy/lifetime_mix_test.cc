// Everything at once: pipelines, and thousands of exchanges between peers of random character.
#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/hostile_world.h"

namespace weir {
namespace {

using test::Answer;
using test::AnswerReader;
using test::connect_to;
using test::get;
using test::HostileWorld;
using test::Socket;

enum class Leave { kReset, kClose, kHalfClose };
constexpr std::array kWaysToLeave = {Leave::kReset, Leave::kClose, Leave::kHalfClose};

// After a half-close the worker must end the connection by itself: true when it did.
bool leave(Socket& client, Leave how) {
  switch (how) {
    case Leave::kReset: client.reset(); return true;
    case Leave::kClose: client.close(); return true;
    case Leave::kHalfClose: break;
  }
  client.half_close();
  client.receive_all();
  return !client.timed_out();
}

TEST_CASE("a client that leaves its pipeline takes all of it along", "[threads]") {
  HostileWorld world;
  std::string pipeline;
  for (int i = 0; i < 8; ++i) pipeline += get("/h", "X-Hostile: tn nn nt\r\n");
  for (const Leave how : {Leave::kReset, Leave::kClose}) {
    for (int answers = 0; answers < 8; ++answers) {
      Socket client = connect_to(world.port());
      client.send(pipeline);
      AnswerReader reader(client);
      for (int i = 0; i < answers; ++i) REQUIRE(reader.next().status == 200);
      leave(client, how);
    }
  }
  // Half-closed: every one of them is answered first.
  Socket client = connect_to(world.port());
  client.send(pipeline);
  client.half_close();
  AnswerReader reader(client);
  for (int i = 0; i < 8; ++i) CHECK(reader.next().complete);
  CHECK(client.receive().empty());
  CHECK_FALSE(client.timed_out());
  world.finish();
}

// One client with a random character, always the same for the same seed.
class RandomClient {
 public:
  RandomClient(uint16_t port, uint32_t seed) : port_(port), random_(seed), seed_(seed) {}

  // The first thing that went wrong, or empty.
  std::string run(int exchanges) {
    for (int i = 0; i < exchanges; ++i) {
      std::string fault = one(std::to_string(seed_) + "-" + std::to_string(i));
      if (!fault.empty()) return fault;
    }
    return {};
  }

 private:
  size_t below(size_t bound) { return random_() % bound; }
  char deed(bool bounded_by_time) {
    // The last one waits for the end of the total time.
    constexpr std::string_view kDeeds = "nnnnnnrijtudabmvwspchglk";
    return kDeeds[below(kDeeds.size() - (bounded_by_time ? 0 : 1))];
  }

  std::string make_request(const std::string& id) {
    constexpr std::string_view kPaths[] = {"/h", "/h", "/k", "/plain", "/dead"};
    constexpr std::string_view kKinds[] = {"length", "chunked", "interim", "none", "close", "big"};
    const std::string_view path = kPaths[below(std::size(kPaths))];
    std::string fields = "X-Id: " + id + "\r\nX-Hostile: ";
    for (int i = 0; i < 3; ++i) fields += {deed(path == "/k"), deed(path == "/k"), ' '};
    fields += "x\r\nX-Script: kind=" + std::string(kKinds[below(std::size(kKinds))]);
    if (below(4) == 0) fields += "; step=" + std::to_string(1 + below(40));
    if (below(4) == 0) {
      fields += "; cut=" + std::to_string(below(160)) + (below(2) == 0 ? "; end=rst" : "");
    }
    if (below(6) == 0) fields += "; read=head";
    fields += "\r\n";
    const std::string start = std::string(path) + " HTTP/1.1\r\nHost: test\r\n";
    if (below(3) != 0) return "GET " + start + fields + "\r\n";
    const std::string body(below(2) == 0 ? below(300) : below(200'000), 'p');
    return "POST " + start + fields + "Content-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }

  std::string one(const std::string& id) {
    if (!client_.valid()) {
      client_ = connect_to(port_, below(3) == 0 ? 4096 : 0);
      reader_.emplace(client_);
    }
    const std::string request = make_request(id);
    if (below(5) == 0) {  // leaves inside the request
      client_.send(std::string_view(request).substr(0, below(request.size())));
      return drop(request);
    }
    client_.send(request);
    if (below(5) == 0) {  // leaves inside the answer
      take_some(below(150));
      return drop(request);
    }
    const Answer answer = reader_->next();
    if (answer.timed_out) return "no answer to " + head_of(request);
    const bool own = answer.status == 200 || answer.status == 204 || answer.status == 418;
    if (answer.complete && own && answer.field("x-id") != id) {
      return id + ": got the answer of " + answer.field("x-id");
    }
    if (!answer.complete || answer.field("connection") == "close") client_.close();
    return {};
  }

  static std::string head_of(const std::string& request) {
    return request.substr(0, request.find("\r\n\r\n"));
  }

  // At most that much of what is on its way, without waiting long for what may not come.
  void take_some(size_t bytes) {
    constexpr int kSomeMs = 100;
    pollfd entry = {client_.fd(), POLLIN, 0};
    while (bytes > 0 && ::poll(&entry, 1, kSomeMs) > 0) {
      const size_t got = client_.receive(bytes).size();
      if (got == 0) return;
      bytes -= got;
    }
  }

  std::string drop(const std::string& request) {
    const Leave how = kWaysToLeave[below(kWaysToLeave.size())];
    const bool ended = leave(client_, how);
    client_.close();
    return ended ? "" : "left open after a half-close in " + head_of(request);
  }

  const uint16_t port_;
  std::mt19937 random_;
  const uint32_t seed_;
  Socket client_;
  std::optional<AnswerReader> reader_;
};

TEST_CASE("thousands of exchanges of every kind end, whatever they meet", "[threads]") {
  constexpr uint32_t kClients = 8;
  constexpr int kExchanges = 250;
  HostileWorld world;
  std::array<std::string, kClients> faults;
  std::atomic<uint32_t> running{kClients};
  std::vector<std::thread> clients;
  for (uint32_t i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      faults[i] = RandomClient(world.port(), 4711 + i).run(kExchanges);
      running.fetch_sub(1);
    });
  }
  // Reloads go on meanwhile: each exchange keeps the snapshot that it began with.
  size_t snapshots = 1;
  while (running.load() != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
    world.edge().publish(world.make_snapshot());
    ++snapshots;
  }
  for (std::thread& client : clients) client.join();
  for (const std::string& fault : faults) CHECK(fault == "");
  world.finish();
  CHECK(world.edge().snapshots_given_back() == snapshots);
}

}  // namespace
}  // namespace weir
