// Files of users, hashes that can be checked, and what clients send.
#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/blocks.h"
#include "filters/auth/authorization.h"
#include "filters/auth/password.h"
#include "filters/auth/users_file.h"
#include "filters/auth/verified_table.h"

namespace weir::filters::auth {
namespace {

// Of "secret", as libcrypt and htpasswd make them.
constexpr const char* kHashes[] = {
    "$2b$04$B88GFdxY/QGnXgq4O7bh6u9/T.Gug3MF.QcOiXybB9/W7eDTMxSJO",
    "$2y$04$y9poPCMWNbA4M.vvEzokSO/qmcygh3S48mhCYRcWjmszHhnyyK4Lq",
    "$2y$04$3BzqFQyeOOyEAB0oNx/NjuCHGJTSB2zp4plfzaEqUKuOEslhfkxsi",
    "$y$j75$1A4mLsCJo.wdIwZyA9Yht1$80LlyKM4V8DsEP5Lxl1FQxEIrzOTz1xegFNs2tpZfj6",
    "$y$j9T$lU8XgSOp4U1KPHHFwcMDm0$QnfRfSxeIpASF9I91Iu.RVRA1Qmx/VhrHY4LUQqX9IB",
    "$5$FMmwoWFwn5YFmSYN$UwaM88aEtSyz19xR8n7HtcKPazzeTsR.A7WVTP1lsJ3",
    "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2",
    "$6$ywDfKYK4T5k1HRl.$DpSu1mzWedR6KHXoaWlF0sqzbCC.msKJ1oD3Ze6REhkHGN9iq2YjJNN3.eGS"
    "NYgmY9mdHQ5MM0IysUd9oeW/x/",
};

std::string lines(std::string_view text) {
  std::vector<Users::Fault> faults;
  const auto users = Users::parse(text, faults);
  std::string out = users == nullptr ? "none" : std::to_string(users->size());
  for (const Users::Fault& fault : faults) {
    out += "|" + std::to_string(fault.line) + " " + fault.what;
  }
  return out;
}

TEST_CASE("passwords: every kind of hash") {
  for (const char* hash : kHashes) {
    CAPTURE(hash);
    CHECK(fault_of_hash(hash) == std::nullopt);
    CHECK(is_password("secret", hash));
    CHECK_FALSE(is_password("Secret", hash));
    CHECK_FALSE(is_password("", hash));
    std::string cut = hash;
    cut.pop_back();
    CHECK(fault_of_hash(cut) != std::nullopt);
    CHECK(fault_of_hash(cut + "!") != std::nullopt);
    CHECK(fault_of_hash(std::string(hash) + "a") != std::nullopt);
  }
}

std::string what(std::string_view stored) {
  const std::optional<HashFault> fault = fault_of_hash(stored);
  return fault ? fault->what : "";
}

TEST_CASE("passwords: hashes that are none, too weak or too dear") {
  CHECK(what("") == "holds no hash");
  CHECK(what("secret") == "holds no hash of bcrypt, yescrypt, sha256crypt or sha512crypt");
  CHECK(what("{PLAIN}secret") == "holds no hash of bcrypt, yescrypt, sha256crypt or sha512crypt");
  CHECK(what("$apr1$abcdefgh$KUJ8ktPJXA5N5vVbzbTWg.") == "holds an apr1 hash: MD5 is too weak");
  CHECK(what("$1$abcdefgh$KUJ8ktPJXA5N5vVbzbTWg.") == "holds an MD5 hash: MD5 is too weak");
  CHECK(what("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=") == "holds a SHA-1 hash, which is too weak");
  CHECK(what("$2x$10$") == "holds no hash of bcrypt, yescrypt, sha256crypt or sha512crypt");
  CHECK(what("$2b$10$") == "holds a broken bcrypt hash");
  CHECK(what("$2b$31$" + std::string(53, 'a')) == "holds a bcrypt hash that is too dear to check");
  CHECK(what("$2b$03$" + std::string(53, 'a')) == "holds a broken bcrypt hash");
  CHECK(what("$5$rounds=1000000$salt$" + std::string(43, 'a')).empty());
  CHECK(what("$5$rounds=1000001$salt$" + std::string(43, 'a')) ==
        "holds a sha256crypt hash that is too dear to check");
  CHECK(what("$6$rounds=x$salt$" + std::string(86, 'a')) == "holds a broken sha512crypt hash");
  CHECK(what("$6$" + std::string(17, 's') + "$" + std::string(86, 'a')) ==
        "holds a broken sha512crypt hash");
  CHECK(what("$6$") == "holds a broken sha512crypt hash");
  CHECK(what("$y$jBT$salt$" + std::string(43, 'a')).empty());
  CHECK(what("$y$jCT$salt$" + std::string(43, 'a')) ==
        "holds a yescrypt hash that is too dear to check");
  CHECK(what("$y$zzz$salt$" + std::string(43, 'a')) == "holds a broken yescrypt hash");
  CHECK(what("$y$j9T") == "holds a broken yescrypt hash");
}

TEST_CASE("users file: lines") {
  const std::string hash = kHashes[0];
  CHECK(lines("a:" + hash + "\n") == "1");
  CHECK(lines("# who\r\n\r\na:" + hash + "\r\nb:" + hash + ":a remark:and more") == "2");
  CHECK(lines("J\xc3\xb6rg M.:" + hash) == "1");
  CHECK(lines("") == "none|0 holds no users");
  CHECK(lines("\n# nobody\n") == "none|0 holds no users");
  CHECK(lines("a:" + hash + "\nb\nc:x") ==
        "none|2 holds no colon|3 holds no hash of bcrypt, yescrypt, sha256crypt or sha512crypt");
  CHECK(lines(":" + hash) == "none|1 holds no user name");
  CHECK(lines(" a:" + hash) == "none|1 holds no user name");
  CHECK(lines("a\tb:" + hash) == "none|1 holds no user name");
  CHECK(lines(std::string(256, 'a') + ":" + hash) == "none|1 holds no user name");
  CHECK(lines("a:" + hash + "\na:" + hash) == "none|2 names a user a second time");
  std::string many;
  for (int i = 0; i < 50; ++i) many += "x\n";
  const std::string reported = lines(many);
  CHECK(std::count(reported.begin(), reported.end(), '|') == 10);
}

TEST_CASE("users file: an unknown user is held against somebody's hash, always the same") {
  std::vector<Users::Fault> faults;
  const std::string a = kHashes[0];
  const std::string b = kHashes[1];
  const auto users = Users::parse("a:" + a + "\nb:" + b, faults);
  REQUIRE(users != nullptr);
  CHECK(users->find("a").known);
  CHECK(users->find("a").hash == a);
  CHECK(users->find("b").hash == b);
  for (const char* name : {"", "A", "a ", "c", "d"}) {
    const Users::Entry entry = users->find(name);
    CHECK_FALSE(entry.known);
    CHECK((entry.hash == a || entry.hash == b));
    CHECK(&users->find(name).hash == &entry.hash);
  }
}

struct Sent {
  Sent() : arena(pool), headers(arena) {}
  BlockPool pool;
  Arena arena;
  http::HeaderList headers;
};

TEST_CASE("authorization: one field of the scheme") {
  using State = Authorization::State;
  const auto state = [](std::vector<std::string_view> values) {
    Sent sent;
    for (const std::string_view value : values) sent.headers.add("Authorization", value);
    return find_authorization(sent.headers, "Basic").state;
  };
  CHECK(state({}) == State::kNone);
  CHECK(state({"Basic YTpi"}) == State::kGiven);
  CHECK(state({"bASIC   YTpi"}) == State::kGiven);
  CHECK(state({"Basic"}) == State::kGiven);
  CHECK(state({"Bearer YTpi"}) == State::kNone);
  CHECK(state({"BasicYTpi"}) == State::kNone);
  CHECK(state({"Basic YTpi", "Basic YTpi"}) == State::kTwice);
  CHECK(state({"Bearer x", "Basic YTpi"}) == State::kTwice);
}

TEST_CASE("authorization: user and password") {
  Sent sent;
  const auto parse = [&](std::string_view text) -> std::string {
    const std::optional<Password> found = parse_basic(text, sent.arena);
    return found ? std::string(found->user) + "|" + std::string(found->password) : "refused";
  };
  CHECK(parse("YTpi") == "a|b");
  CHECK(parse("QWxhZGRpbjpvcGVuIHNlc2FtZQ==") == "Aladdin|open sesame");  // RFC 7617 2
  CHECK(parse("dGVzdDoxMjPCow==") == "test|123\xc2\xa3");                 // RFC 7617 2.1
  CHECK(parse("YTpiOmM=") == "a|b:c");
  CHECK(parse("Og==") == "|");
  CHECK(parse("") == "refused");
  CHECK(parse("YQ==") == "refused");  // no colon
  CHECK(parse("YTpi YTpi") == "refused");
  CHECK(parse("YTpiAA==") == "refused");  // a NUL, where crypt() would stop reading
  CHECK(parse("YTpiCg==") == "refused");
  CHECK(parse("YTpiOmM") == "refused");  // no padding
  CHECK(parse(std::string(1024, 'A')) == "refused");
  CHECK(parse(std::string(100'000, 'A')) == "refused");
}

TEST_CASE("verified table: what was put is found until it ends") {
  VerifiedTable<int> table(1000);
  const SipKey key = SipKey::random();
  int out = 0;
  CHECK_FALSE(table.find(key.hash("a"), 10, out));
  table.put(key.hash("a"), 20, 7);
  CHECK(table.find(key.hash("a"), 19, out));
  CHECK(out == 7);
  CHECK_FALSE(table.find(key.hash("a"), 20, out));
  CHECK_FALSE(table.find(key.hash("b"), 19, out));
  table.put(key.hash("a"), 30, 8);
  CHECK(table.find(key.hash("a"), 29, out));
  CHECK(out == 8);
  CHECK_FALSE(table.find({}, 0, out));  // a free place is nobody's
}

TEST_CASE("verified table: it is bounded, and what ends first makes room") {
  VerifiedTable<int> table(64);  // 64 shards of one set of 8
  const SipKey key = SipKey::random();
  for (int i = 0; i < 10'000; ++i) {
    table.put(key.hash(std::to_string(i)), static_cast<uint64_t>(100 + i), i);
  }
  int found = 0;
  int out = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (!table.find(key.hash(std::to_string(i)), 1, out)) continue;
    CHECK(out == i);
    CHECK(i > 5000);
    ++found;
  }
  CHECK(found == 512);
}

}  // namespace
}  // namespace weir::filters::auth
