// Sessions and ticket keys: bounds, ends, and many workers at once.
#include "net/tls_memory.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/tls.h"
#include "support/certificates.h"

namespace weir::net {
namespace {

constexpr size_t kMiB = 1 << 20;
constexpr uint64_t kHourMs = 3'600'000;

TEST_CASE("tls memory: sessions stay until their time is over or there is no room") {
  SessionCache cache;
  cache.put("a", "session of a", kMiB, 1000);
  CHECK(cache.find("a", 999) == "session of a");
  CHECK(cache.find("a", 1000).empty());
  CHECK(cache.bytes() == 0);  // what is found too late is gone
  cache.put("a", "first", kMiB, 1000);
  cache.put("a", "second", kMiB, 1000);
  CHECK(cache.find("a", 0) == "second");
  cache.remove("a");
  cache.remove("never there");
  CHECK(cache.find("a", 0).empty());

  const size_t bytes_max = 64 * 1024;
  for (int i = 0; i < 10'000; ++i) {
    cache.put("id " + std::to_string(i), std::string(100, 's'), bytes_max, 1000);
    CHECK(cache.bytes() <= bytes_max);
  }
  CHECK(cache.bytes() > bytes_max / 2);
  CHECK(cache.find("id 0", 0).empty());
  CHECK_FALSE(cache.find("id 9999", 0).empty());
  cache.put("too large", std::string(bytes_max, 's'), bytes_max, 1000);
  CHECK(cache.find("too large", 0).empty());
}

TEST_CASE("tls memory: the least recently used session goes first") {
  SessionCache cache;
  const size_t bytes_max = 64 * 1024;
  cache.put("kept", "session", bytes_max, 1000);
  for (int i = 0; i < 10'000; ++i) {
    cache.put("id " + std::to_string(i), std::string(100, 's'), bytes_max, 1000);
    REQUIRE(cache.find("kept", 0) == "session");
  }
}

TEST_CASE("tls memory: a ticket's key outlives its last ticket, not more") {
  TicketKeys keys;
  TicketKey found;
  bool is_present = false;
  const auto knows = [&](const TicketKey& key, uint64_t now_ms) {
    return keys.find(key.name.data(), now_ms, kHourMs, 2 * kHourMs, found, is_present);
  };
  const TicketKey first = keys.present(0, kHourMs, 2 * kHourMs);
  CHECK(keys.present(kHourMs - 1, kHourMs, 2 * kHourMs).name == first.name);
  CHECK((knows(first, kHourMs - 1) && is_present));
  CHECK(found.aes == first.aes);
  CHECK((knows(first, kHourMs) && !is_present));  // due for the next one
  const TicketKey second = keys.present(kHourMs, kHourMs, 2 * kHourMs);
  CHECK(second.name != first.name);
  CHECK(second.aes != first.aes);
  CHECK((knows(first, 3 * kHourMs) && !is_present));
  CHECK_FALSE(knows(first, 3 * kHourMs + 1));
  CHECK_FALSE(knows(TicketKey(), 0));
}

TEST_CASE("tls memory: what a file of keys must look like") {
  CHECK(read_ticket_keys("").error() == "holds 0 bytes, not a multiple of 80");
  CHECK(read_ticket_keys(std::string(81, 'k')).error() == "holds 81 bytes, not a multiple of 80");
  CHECK(read_ticket_keys(std::string(33 * 80, 'k')).error() == "holds more than 32");
  std::string two = std::string(16, 'n') + std::string(32, 'h') + std::string(32, 'a');
  two += std::string(80, 'o');
  const std::vector<TicketKey> keys = read_ticket_keys(two).value();
  REQUIRE(keys.size() == 2);
  CHECK((keys[0].name[15] == 'n' && keys[0].hmac[0] == 'h' && keys[0].aes[31] == 'a'));
  CHECK(keys[1].name[0] == 'o');
}

TEST_CASE("tls memory: a listener's memory lives as long as anybody uses it") {
  const auto first = tls_memory_of_listener("l");
  CHECK(tls_memory_of_listener("l") == first);
  CHECK(tls_memory_of_listener("m") != first);
}

TEST_CASE("tls memory: workers share sessions, keys and certificates", "[threads]") {
  constexpr uint32_t kWorkers = 4;
  for (const bool tickets : {true, false}) {
    TlsServerOptions options;
    options.certificates = {test::loaded(test::some_certificate())};
    options.tickets = tickets;
    options.ticket_rotate_ms = 1;
    options.session_cache_bytes = 256 * 1024;
    options.workers = kWorkers;
    const auto server = TlsServer::make(std::move(options)).value();
    TlsClientOptions of_client;
    of_client.verify = false;
    of_client.workers = kWorkers;
    const auto client = TlsClient::make(std::move(of_client)).value();
    std::atomic<int> resumed{0};
    const auto work = [&](uint32_t worker) {
      BlockPool blocks;
      const auto ticket = std::make_shared<TlsTicket>();
      std::string room(64 * 1024, '\0');
      for (int i = 0; i < 20; ++i) {
        Tls at_server(*server, (worker + static_cast<uint32_t>(i)) % kWorkers, blocks, {});
        Tls at_client(*client, worker, blocks, "a.test", ticket);
        std::string_view nothing;
        at_client.handshake(nothing);
        for (int turn = 0; turn < 6; ++turn) {
          for (Tls* to : {&at_server, &at_client}) {
            Buffer& from = (to == &at_server ? at_client : at_server).pending();
            while (!from.empty()) {
              std::string_view bytes = from.front();
              if (!to->open()) to->handshake(bytes);
              if (to->open()) to->decrypt(bytes, room.data(), room.size());
              from.consume(from.front().size());
            }
          }
        }
        if (at_server.open() && at_server.resumed()) ++resumed;
      }
    };
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < kWorkers; ++i) threads.emplace_back(work, i);
    for (std::thread& thread : threads) thread.join();
    CHECK(resumed > static_cast<int>(kWorkers) * 10);
  }
}

}  // namespace
}  // namespace weir::net
