// RESP2, the protocol of Redis: replies out of bytes, by hiredis's reader, and commands into bytes.
// Knows no sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/check.h"
#include "base/limits.h"

struct redisReader;
struct redisReadTask;

namespace weir::net {

// Good until its reader goes on.
struct RedisReply {
  enum class Kind : uint8_t { kNil, kStatus, kError, kInteger, kText, kList };
  Kind kind = Kind::kNil;
  int64_t integer = 0;          // kInteger
  std::string_view text;        // kStatus, kError, kText
  RedisReply* items = nullptr;  // kList
  size_t size = 0;              // of it

  bool is_error() const { return kind == Kind::kError; }
  // The integer at `index` of a list; `otherwise` where there is none.
  int64_t integer_at(size_t index, int64_t otherwise) const {
    if (kind != Kind::kList || index >= size || items[index].kind != Kind::kInteger) {
      return otherwise;
    }
    return items[index].integer;
  }
};

// Of one connection. A reply is refused that is larger than `reply_bytes` or has more than
// limits::kRedisReplyValues values, as soon as it announces that; so is what is no RESP2.
class RedisReader {
 public:
  explicit RedisReader(BlockPool& blocks, size_t reply_bytes = limits::kRedisReplyBytes);
  ~RedisReader();
  RedisReader(const RedisReader&) = delete;
  RedisReader& operator=(const RedisReader&) = delete;

  enum class Progress : uint8_t { kReply, kMore, kBroken };
  // Takes what it needs off the front of `bytes`. kMore: all of it, and the reply has not ended.
  // kBroken: nothing can be read any more, and failure() says why.
  Progress next(std::string_view& bytes);
  const RedisReply& reply() const { return root_; }
  const char* failure() const { return failure_; }  // a literal

 private:
  friend struct RedisReaderHooks;
  Progress parse();
  Progress fail(const char* why);
  bool announces_too_much() const;

  redisReader* const reader_;
  const size_t reply_bytes_max_;
  Arena arena_;  // items and texts of the present reply
  RedisReply root_;
  size_t values_ = 0;  // of the present reply
  size_t text_bytes_ = 0;
  const char* failure_ = "";
  bool whole_ = false;  // root_ has been handed out
};

// Writes one command to the end of a buffer. REQUIRES: as many add()s as were announced.
class RedisCommand {
 public:
  RedisCommand(Buffer& out, size_t words) : out_(out), left_(words) { head('*', words); }
  ~RedisCommand() { WEIR_ASSERT(left_ == 0 && pieces_left_ == 0); }
  RedisCommand(const RedisCommand&) = delete;
  RedisCommand& operator=(const RedisCommand&) = delete;
  void add(std::string_view word);
  void add(int64_t number);
  // A word in pieces: `bytes` in all, then as many by put().
  void begin_word(size_t bytes);
  void put(std::string_view piece);

 private:
  void head(char type, size_t count);
  Buffer& out_;
  size_t left_;
  size_t pieces_left_ = 0;  // bytes of the word that has begun
};

void write_redis_command(Buffer& out, std::initializer_list<std::string_view> words);

}  // namespace weir::net
