#include "proxy/seats.h"

#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace weir::proxy {
namespace {

using Answer = Seats::Answer;

http::Address address(const std::string& text) {
  http::Address parsed;
  REQUIRE(http::Address::parse(text, parsed));
  return parsed;
}

// A seat that can be given up early.
struct Place {
  Place(const std::shared_ptr<Seats>& seats, uint32_t listener_max, uint32_t per_client,
        const http::Address& client) {
    Seat seat;
    answer = seats->take(listener_max, per_client, client, seat);
    held.emplace(std::move(seat));
  }
  Answer answer;
  std::optional<Seat> held;
};

TEST_CASE("seats: a listener takes as many as it may, and again when one leaves") {
  const auto seats = std::make_shared<Seats>();
  const http::Address client = address("192.0.2.1");
  Place first(seats, 2, Seats::kUnlimited, client);
  Place second(seats, 2, Seats::kUnlimited, client);
  CHECK(first.answer == Answer::kTaken);
  CHECK(second.answer == Answer::kTaken);
  CHECK(Place(seats, 2, Seats::kUnlimited, client).answer == Answer::kListenerFull);
  CHECK(Place(seats, 3, Seats::kUnlimited, client).answer == Answer::kTaken);  // a reload's limit
  CHECK(seats->open() == 2);
  second.held.reset();
  CHECK(Place(seats, 2, Seats::kUnlimited, client).answer == Answer::kTaken);
  first.held.reset();
  CHECK(seats->open() == 0);
}

TEST_CASE("seats: a client that shows itself later is counted then") {
  const auto seats = std::make_shared<Seats>();
  const http::Address balancer = address("10.0.0.1");
  const http::Address client = address("192.0.2.1");
  Place first(seats, 100, Seats::kUnlimited, balancer);
  Place second(seats, 100, Seats::kUnlimited, balancer);
  CHECK(first.held->count_client(1, client));
  CHECK_FALSE(second.held->count_client(1, client));
  CHECK(Place(seats, 100, 1, client).answer == Answer::kClientFull);
  CHECK(seats->open() == 2);
  first.held.reset();
  CHECK(second.held->count_client(1, client));
  second.held.reset();
  CHECK(Place(seats, 100, 1, client).answer == Answer::kTaken);
  CHECK(seats->open() == 0);
}

TEST_CASE("seats: clients are counted apart, IPv6 ones by their /64") {
  const auto seats = std::make_shared<Seats>();
  const auto take = [&](const std::string& client) {
    return Place(seats, 100, 1, address(client));
  };
  const Place v4 = take("192.0.2.1");
  const Place v6 = take("2001:db8:0:1::1");
  CHECK(v4.answer == Answer::kTaken);
  CHECK(v6.answer == Answer::kTaken);
  CHECK(take("192.0.2.1").answer == Answer::kClientFull);
  CHECK(take("::ffff:192.0.2.1").answer == Answer::kClientFull);
  CHECK(take("192.0.2.2").answer == Answer::kTaken);
  CHECK(take("2001:db8:0:1:ffff::7").answer == Answer::kClientFull);
  CHECK(take("2001:db8:0:2::1").answer == Answer::kTaken);
  CHECK(take("::1").answer == Answer::kTaken);
  CHECK(seats->open() == 2);  // the refused ones left nothing behind
}

TEST_CASE("seats: a seat taken while the limit was off is not taken off the client's count") {
  const auto seats = std::make_shared<Seats>();
  const http::Address client = address("192.0.2.1");
  Place before(seats, 100, Seats::kUnlimited, client);
  Place counted(seats, 100, 1, client);
  before.held.reset();
  CHECK(Place(seats, 100, 1, client).answer == Answer::kClientFull);
  counted.held.reset();
  CHECK(Place(seats, 100, 1, client).answer == Answer::kTaken);
}

TEST_CASE("seats: many clients that come and go are counted as a map would") {
  const auto seats = std::make_shared<Seats>();
  constexpr uint32_t kPerClient = 3;
  std::mt19937 random(7);
  std::map<uint32_t, std::vector<Place>> model;
  for (int step = 0; step < 100'000; ++step) {
    const uint32_t number = random() % 3000;
    std::vector<Place>& places = model[number];
    if (random() % 2 == 0) {
      if (!places.empty()) places.pop_back();
      continue;
    }
    http::Address client = address("10.0.0.0");
    client.bytes[14] = static_cast<uint8_t>(number >> 8);
    client.bytes[15] = static_cast<uint8_t>(number);
    Place place(seats, UINT32_MAX, kPerClient, client);
    const bool free = places.size() < kPerClient;
    REQUIRE(place.answer == (free ? Answer::kTaken : Answer::kClientFull));
    if (free) places.push_back(std::move(place));
  }
  size_t left = 0;
  for (const auto& [number, places] : model) left += places.size();
  CHECK(seats->open() == left);
  model.clear();
  CHECK(seats->open() == 0);
}

TEST_CASE("seats: workers share the counts", "[threads]") {
  const auto seats = std::make_shared<Seats>();
  constexpr uint32_t kListenerMax = 50;
  std::vector<std::thread> workers;
  std::atomic<bool> over_the_limit{false};
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&, worker] {
      std::mt19937 random(static_cast<uint32_t>(worker));
      for (int round = 0; round < 2000; ++round) {
        std::vector<Place> held;
        for (int i = 0; i < 20; ++i) {
          http::Address client = {};
          client.v4 = true;
          client.bytes[15] = static_cast<uint8_t>(random() % 8);
          held.emplace_back(seats, kListenerMax, 4, client);
        }
        size_t taken = 0;
        for (const Place& place : held) taken += place.answer == Answer::kTaken ? 1 : 0;
        if (taken > kListenerMax) over_the_limit = true;
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  CHECK_FALSE(over_the_limit);
  CHECK(seats->open() == 0);
  // Nothing is left of any client: each may take its whole share again.
  for (uint8_t last = 0; last < 8; ++last) {
    http::Address client = {};
    client.v4 = true;
    client.bytes[15] = last;
    std::vector<Place> held;
    for (int i = 0; i < 4; ++i) held.emplace_back(seats, kListenerMax, 4, client);
    for (const Place& place : held) CHECK(place.answer == Answer::kTaken);
  }
}

TEST_CASE("seats: a listener of the same name finds those that are taken") {
  const auto before = seats_of_listener("a-listener");
  Place open(before, 10, Seats::kUnlimited, address("192.0.2.1"));
  CHECK(seats_of_listener("a-listener")->open() == 1);
  CHECK(seats_of_listener("another")->open() == 0);
}

}  // namespace
}  // namespace weir::proxy
