// SRV answers: what a name server says, and what it may say to do harm.
#include "net/srv.h"

#include <catch2/catch.hpp>

namespace weir::net {
namespace {

using Bytes = std::vector<uint8_t>;

void add16(Bytes& to, size_t value) {
  to.push_back(static_cast<uint8_t>(value >> 8));
  to.push_back(static_cast<uint8_t>(value));
}

void add_name(Bytes& to, std::string_view name) {
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    to.push_back(static_cast<uint8_t>(label.size()));
    to.insert(to.end(), label.begin(), label.end());
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  to.push_back(0);
}

constexpr uint16_t kSrv = 33;
constexpr uint16_t kCname = 5;

Bytes message_of(size_t answers) {
  Bytes message = {0, 1, 0x81, 0x80, 0, 1};
  add16(message, answers);
  message.insert(message.end(), 4, 0);
  add_name(message, "_http._tcp.app.test");
  add16(message, kSrv);
  add16(message, 1);
  return message;
}

void add_record(Bytes& to, uint16_t type, uint16_t ttl_s, const Bytes& data) {
  add16(to, 0xc00c);  // the question's name
  add16(to, type);
  add16(to, 1);
  add16(to, 0);
  add16(to, ttl_s);
  add16(to, data.size());
  to.insert(to.end(), data.begin(), data.end());
}

Bytes srv(uint16_t priority, uint16_t weight, uint16_t port, std::string_view target) {
  Bytes data;
  for (const uint16_t value : {priority, weight, port}) add16(data, value);
  add_name(data, target);
  return data;
}

using Records = std::vector<SrvRecord>;

TEST_CASE("srv: records are sorted, each once, with the smallest TTL") {
  Bytes message = message_of(5);
  Bytes alias;
  add_name(alias, "other.test");
  add_record(message, kCname, 7, alias);
  add_record(message, kSrv, 300, srv(20, 0, 81, "b.test"));
  add_record(message, kSrv, 60, srv(10, 5, 80, "B.Test"));
  add_record(message, kSrv, 60, srv(10, 70, 80, "a.test"));
  add_record(message, kSrv, 60, srv(10, 70, 80, "a.test"));
  const SrvAnswer answer = parse_srv_answer(message);
  CHECK(answer.error.empty());
  CHECK(answer.ttl_ms == 7000);
  CHECK(answer.records ==
        Records{{10, "a.test", 80, 70}, {10, "b.test", 80, 5}, {20, "b.test", 81, 0}});
}

TEST_CASE("srv: what is not usable is left out") {
  Bytes message = message_of(3);
  add_record(message, kSrv, 60, srv(1, 1, 0, "a.test"));
  add_record(message, kSrv, 60, srv(1, 1, 80, "a b.test"));
  add_record(message, kSrv, 60, srv(1, 1, 80, "a\n.test"));
  CHECK(parse_srv_answer(message).records.empty());
  CHECK(parse_srv_answer(message).error == "no usable SRV record");
  CHECK(parse_srv_answer(message_of(0)).error == "no usable SRV record");
}

TEST_CASE("srv: the target \".\" says that the service is not offered") {
  Bytes message = message_of(1);
  add_record(message, kSrv, 60, srv(0, 0, 0, ""));
  const SrvAnswer answer = parse_srv_answer(message);
  CHECK(answer.records.empty());
  CHECK(answer.error.empty());
  CHECK(answer.ttl_ms == 60'000);
}

TEST_CASE("srv: a cut or lying message is malformed, and read within its bounds") {
  Bytes message = message_of(2);
  add_record(message, kSrv, 60, srv(1, 2, 80, "a.test"));
  add_record(message, kSrv, 60, srv(1, 2, 80, "b.test"));
  for (size_t bytes = 0; bytes < message.size(); ++bytes) {
    const Bytes cut(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(bytes));
    CAPTURE(bytes);
    CHECK(parse_srv_answer(cut).error == "the answer is malformed");
  }
  for (size_t at = 0; at < message.size(); ++at) {  // any byte may be wrong
    for (const uint8_t value : {0x00, 0x3f, 0xc0, 0xff}) {
      Bytes other = message;
      other[at] = value;
      CHECK(parse_srv_answer(other).records.size() <= 2);
    }
  }
  Bytes longer = message_of(1);
  Bytes data = srv(1, 2, 80, "a.test");
  data.push_back(0);  // the record's length and its name differ
  add_record(longer, kSrv, 60, data);
  CHECK(parse_srv_answer(longer).error == "the answer is malformed");
  Bytes loop = message_of(1);
  Bytes self = {0, 1, 0, 1, 0, 80};
  add16(self, 0xc000 + loop.size() + 12 + 6);  // a pointer to itself
  add_record(loop, kSrv, 60, self);
  CHECK(parse_srv_answer(loop).error == "the answer is malformed");
}

}  // namespace
}  // namespace weir::net
