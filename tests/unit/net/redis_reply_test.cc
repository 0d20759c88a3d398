// RESP2 in and out: every kind of reply, however its bytes arrive, and what is refused at once.
#include "net/redis_reply.h"

#include <catch2/catch.hpp>

#include <string>

#include "base/limits.h"
#include "net/redis_error.h"

namespace weir::net {
namespace {

using Kind = RedisReply::Kind;
using Progress = RedisReader::Progress;

std::string text_of(const RedisReply& reply) {
  switch (reply.kind) {
    case Kind::kNil: return "nil";
    case Kind::kStatus: return "+" + std::string(reply.text);
    case Kind::kError: return "-" + std::string(reply.text);
    case Kind::kInteger: return std::to_string(reply.integer);
    case Kind::kText: return "'" + std::string(reply.text) + "'";
    case Kind::kList: break;
  }
  std::string text = "[";
  for (size_t i = 0; i < reply.size; ++i) {
    text += (i == 0 ? "" : " ") + text_of(reply.items[i]);
  }
  return text + "]";
}

// All replies of `bytes`, which come in pieces of that size; "broken: why" or "more" at the end.
std::string read_all(std::string_view bytes, size_t piece_bytes) {
  BlockPool blocks;
  RedisReader reader(blocks);
  std::string text;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, piece_bytes);
    bytes.remove_prefix(piece.size());
    for (;;) {
      const Progress progress = reader.next(piece);
      if (progress == Progress::kBroken) return text + "broken: " + reader.failure();
      if (progress == Progress::kMore) break;
      text += text_of(reader.reply()) + " ";
    }
  }
  return text + "more";
}

TEST_CASE("replies of every kind, in pieces of any size") {
  const std::string bytes =
      "+OK\r\n:-42\r\n$3\r\na\r\n\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n-ERR no\r\n"
      "*3\r\n:1\r\n*2\r\n$1\r\nx\r\n$-1\r\n+s\r\n:9223372036854775807\r\n";
  for (const size_t piece : {size_t{1}, size_t{2}, size_t{7}, bytes.size()}) {
    CHECK(read_all(bytes, piece) ==
          "+OK -42 'a\r\n' '' nil nil [] -ERR no [1 ['x' nil] +s] 9223372036854775807 more");
  }
}

TEST_CASE("many replies at once, and what a reply holds is gone with the next") {
  std::string bytes;
  std::string wanted;
  for (int i = 0; i < 5000; ++i) {
    bytes += "*2\r\n:" + std::to_string(i) + "\r\n$2\r\nab\r\n";
    wanted += "[" + std::to_string(i) + " 'ab'] ";
  }
  CHECK(read_all(bytes, bytes.size()) == wanted + "more");
}

TEST_CASE("a reply is refused as soon as it announces too much") {
  const std::string large = std::to_string(limits::kRedisReplyBytes + 1);
  for (const std::string& bytes : {
           std::string("$536870912\r\n"),            // 512 MB
           "$" + large + "\r\n",                     //
           std::string("$9223372036854775807\r\n"),  //
           std::string("*1000000000\r\n"),           //
           "*" + std::to_string(limits::kRedisReplyValues + 1) + "\r\n",
           std::string("*1000\r\n*25\r\n"),                        // together
           "+" + std::string(limits::kRedisReplyBytes + 64, 'x'),  // a line without an end
           "$" + std::string(40, '1'),                             // a length without an end
       }) {
    INFO(bytes.substr(0, 40));
    CHECK(read_all(bytes, bytes.size()) == "broken: a reply that is too large");
    CHECK(read_all(bytes, 1) == "broken: a reply that is too large");
  }
  const std::string most = "$" + std::to_string(limits::kRedisReplyBytes) + "\r\n" +
                           std::string(limits::kRedisReplyBytes, 'x') + "\r\n";
  CHECK(read_all(most + ":1\r\n", 4096).ends_with("' 1 more"));
  CHECK(read_all("*2\r\n" + most + "$1\r\ny\r\n", 4096) == "broken: a reply that is too large");
}

TEST_CASE("what is no RESP2 breaks the reader for good") {
  for (const std::string bytes :
       {"HTTP/1.1 400 Bad Request\r\n\r\n", "\r\n", "$x\r\n", "*-2\r\n", ":\r\n", ":1x\r\n",
        "%1\r\n+a\r\n+b\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        "\x15\x03\x03\x00\x02\x02\x28"}) {
    INFO(bytes);
    CHECK(read_all(bytes, 1) == "broken: no RESP2");
  }
  BlockPool blocks;
  RedisReader reader(blocks);
  std::string_view bytes = "x";
  CHECK(reader.next(bytes) == Progress::kBroken);
  bytes = "+OK\r\n";
  CHECK(reader.next(bytes) == Progress::kBroken);
}

TEST_CASE("commands, with whatever their words hold") {
  BlockPool blocks;
  Buffer out(blocks);
  {
    RedisCommand command(out, 5);
    command.add("EVALSHA");
    command.add("");
    command.add("a\r\nb");
    command.add(int64_t{-9223372036854775807 - 1});
    command.add(int64_t{120});
  }
  CHECK(out.text() ==
        "*5\r\n$7\r\nEVALSHA\r\n$0\r\n\r\n$4\r\na\r\nb\r\n$20\r\n-9223372036854775808\r\n"
        "$3\r\n120\r\n");
  out.clear();
  write_redis_command(out, {"AUTH", "pa ss"});
  CHECK(out.text() == "*2\r\n$4\r\nAUTH\r\n$5\r\npa ss\r\n");
}

TEST_CASE("errors of Redis by what is to be done about them") {
  const std::pair<const char*, RedisReason> cases[] = {
      {"NOAUTH Authentication required.", RedisReason::kAuth},
      {"WRONGPASS invalid username-password pair or user is disabled.", RedisReason::kAuth},
      {"ERR invalid password", RedisReason::kAuth},
      {"ERR AUTH <password> called without any password configured for the default user. Are "
       "you sure your configuration is correct?",
       RedisReason::kAuth},
      {"NOPERM this user has no permissions to run the 'evalsha' command", RedisReason::kAuth},
      {"READONLY You can't write against a read only replica. script: c0ffee, on @user_script:1.",
       RedisReason::kReadOnly},
      {"ERR Error running script (call to f_c0ffee): @user_script:1: -READONLY You can't write "
       "against a read only replica.",
       RedisReason::kReadOnly},
      {"ERR Error running script (call to f_c0ffee): @user_script:1: WRONGTYPE Operation against "
       "a key holding the wrong kind of value",
       RedisReason::kWrongType},
      {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
       RedisReason::kReadOnly},
      {"LOADING Redis is loading the dataset in memory", RedisReason::kLoading},
      {"BUSY Redis is busy running a script.", RedisReason::kBusy},
      {"OOM command not allowed when used memory > 'maxmemory'.", RedisReason::kMemory},
      {"MISCONF Redis is configured to save RDB snapshots", RedisReason::kDisk},
      {"NOREPLICAS Not enough good replicas to write.", RedisReason::kDisk},
      {"WRONGTYPE Operation against a key holding the wrong kind of value",
       RedisReason::kWrongType},
      {"ERR unknown command 'evalsha'", RedisReason::kOther},
      {"BUSYKEY Target key name already exists.", RedisReason::kOther},
      {"", RedisReason::kOther},
  };
  for (const auto& [text, reason] : cases) {
    INFO(text);
    CHECK(redis_reason_word(classify_redis_error(text)) == std::string(redis_reason_word(reason)));
  }
  CHECK(is_missing_script("NOSCRIPT No matching script. Please use EVAL."));
  CHECK_FALSE(is_missing_script("ERR NOSCRIPT"));
}

TEST_CASE("a reader takes as much as it was told, and no more") {
  const std::string text(100'000, 'x');
  const std::string bytes = "$100000\r\n" + text + "\r\n";
  BlockPool blocks;
  RedisReader small(blocks);
  std::string_view rest = bytes;
  CHECK(small.next(rest) == Progress::kBroken);
  RedisReader large(blocks, text.size());
  rest = bytes;
  REQUIRE(large.next(rest) == Progress::kReply);
  CHECK(large.reply().text == text);
  RedisReader less(blocks, text.size() - 1);
  rest = bytes;
  CHECK(less.next(rest) == Progress::kBroken);
}

TEST_CASE("a word is written in pieces as it is in one") {
  BlockPool blocks;
  Buffer whole(blocks);
  Buffer pieces(blocks);
  write_redis_command(whole, {"SET", "", "abcdef"});
  {
    RedisCommand command(pieces, 3);
    command.begin_word(3);
    command.put("S");
    command.put("ET");
    command.begin_word(0);
    command.begin_word(6);
    command.put("abc");
    command.put("");
    command.put("def");
  }
  CHECK(whole.text() == pieces.text());
}

}  // namespace
}  // namespace weir::net
