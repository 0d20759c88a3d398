#include "net/redis_reply.h"

#include <hiredis/read.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/limits.h"
#include "base/strings.h"

namespace weir::net {

// hiredis's callbacks. They put values where they belong and take notes; null ends the reply.
struct RedisReaderHooks {
  static RedisReply* place(const redisReadTask* task) {
    auto& reader = *static_cast<RedisReader*>(task->privdata);
    if (task->parent == nullptr) return &reader.root_;
    return static_cast<RedisReply*>(task->parent->obj)->items + task->idx;
  }

  static void* text(const redisReadTask* task, char* bytes, size_t size) noexcept {
    auto& reader = *static_cast<RedisReader*>(task->privdata);
    reader.text_bytes_ += size;
    if (reader.text_bytes_ > reader.reply_bytes_max_) return nullptr;
    RedisReply& reply = *place(task);
    switch (task->type) {
      case REDIS_REPLY_STATUS: reply.kind = RedisReply::Kind::kStatus; break;
      case REDIS_REPLY_ERROR: reply.kind = RedisReply::Kind::kError; break;
      default: reply.kind = RedisReply::Kind::kText; break;
    }
    reply.text = reader.arena_.copy({bytes, size});
    return &reply;
  }

  static void* list(const redisReadTask* task, int size) noexcept {
    auto& reader = *static_cast<RedisReader*>(task->privdata);
    reader.values_ += static_cast<size_t>(size);
    if (reader.values_ > limits::kRedisReplyValues) return nullptr;
    RedisReply& reply = *place(task);
    reply.kind = RedisReply::Kind::kList;
    reply.size = static_cast<size_t>(size);
    const size_t bytes = sizeof(RedisReply) * reply.size;
    reply.items = static_cast<RedisReply*>(reader.arena_.allocate(bytes, alignof(RedisReply)));
    std::uninitialized_fill_n(reply.items, reply.size, RedisReply());
    return &reply;
  }

  static void* integer(const redisReadTask* task, long long value) noexcept {
    RedisReply& reply = *place(task);
    reply.kind = RedisReply::Kind::kInteger;
    reply.integer = value;
    return &reply;
  }

  static void* nil(const redisReadTask* task) noexcept { return place(task); }

  static void free(void*) noexcept {}  // all of a reply is in the arena
};

namespace {

redisReplyObjectFunctions hooks = {RedisReaderHooks::text, RedisReaderHooks::list,
                                   RedisReaderHooks::integer, RedisReaderHooks::nil,
                                   RedisReaderHooks::free};

}  // namespace

RedisReader::RedisReader(BlockPool& blocks, size_t reply_bytes)
    : reader_(redisReaderCreateWithFunctions(&hooks)),
      reply_bytes_max_(reply_bytes),
      arena_(blocks) {
  WEIR_CHECK(reader_ != nullptr);
  reader_->privdata = this;
}

RedisReader::~RedisReader() { redisReaderFree(reader_); }

RedisReader::Progress RedisReader::next(std::string_view& bytes) {
  constexpr size_t kPieceBytes = 16 * 1024;  // hiredis copies: what is read at once stays small
  if (*failure_ != '\0') return Progress::kBroken;
  if (whole_) {
    whole_ = false;
    arena_.reset();
    root_ = {};
    values_ = 0;
    text_bytes_ = 0;
  }
  for (;;) {
    const Progress progress = parse();
    if (progress != Progress::kMore || bytes.empty()) return progress;
    const std::string_view piece = bytes.substr(0, kPieceBytes);
    bytes.remove_prefix(piece.size());
    if (redisReaderFeed(reader_, piece.data(), piece.size()) != REDIS_OK) {
      return fail("out of memory");
    }
  }
}

RedisReader::Progress RedisReader::parse() {
  void* reply = nullptr;
  if (redisReaderGetReply(reader_, &reply) != REDIS_OK) {
    const bool too_much = text_bytes_ > reply_bytes_max_ || values_ > limits::kRedisReplyValues;
    return fail(too_much ? "a reply that is too large" : "no RESP2");
  }
  if (reply != nullptr) {
    whole_ = true;
    return Progress::kReply;
  }
  return announces_too_much() ? fail("a reply that is too large") : Progress::kMore;
}

RedisReader::Progress RedisReader::fail(const char* why) {
  failure_ = why;
  return Progress::kBroken;
}

// Of a value that has begun, and of which hiredis waits for the rest.
bool RedisReader::announces_too_much() const {
  constexpr size_t kHeadBytes = 32;  // type, length, ends of lines
  const size_t held = reader_->len - reader_->pos;
  if (held > reply_bytes_max_ + kHeadBytes) return true;
  if (reader_->ridx < 0 || reader_->rstack[reader_->ridx].type != REDIS_REPLY_STRING) return false;
  const char* const begin = reader_->buf + reader_->pos;
  // As if it came byte by byte: an end behind the longest head is none.
  const size_t head = std::min(held, kHeadBytes);
  const void* const end = head == 0 ? nullptr : std::memchr(begin, '\r', head);
  if (end == nullptr) return held > kHeadBytes;
  const std::string_view digits(begin, static_cast<size_t>(static_cast<const char*>(end) - begin));
  uint64_t size = 0;
  return parse_u64(digits, size) && size > reply_bytes_max_;
}

void RedisCommand::head(char type, size_t count) {
  char text[24];
  text[0] = type;
  size_t size = 1 + format_u64(count, text + 1);
  text[size++] = '\r';
  text[size++] = '\n';
  out_.append({text, size});
}

void RedisCommand::add(std::string_view word) {
  begin_word(word.size());
  put(word);
}

void RedisCommand::begin_word(size_t bytes) {
  WEIR_ASSERT(left_ > 0 && pieces_left_ == 0);
  --left_;
  head('$', bytes);
  pieces_left_ = bytes;
  if (bytes == 0) out_.append("\r\n");
}

void RedisCommand::put(std::string_view piece) {
  if (piece.empty()) return;
  WEIR_ASSERT(piece.size() <= pieces_left_);
  pieces_left_ -= piece.size();
  out_.append(piece);
  if (pieces_left_ == 0) out_.append("\r\n");
}

void RedisCommand::add(int64_t number) {
  char text[24];
  size_t size = 0;
  if (number < 0) text[size++] = '-';
  const auto positive = static_cast<uint64_t>(number);
  size += format_u64(number < 0 ? -positive : positive, text + size);
  add({text, size});
}

void write_redis_command(Buffer& out, std::initializer_list<std::string_view> words) {
  RedisCommand command(out, words.size());
  for (const std::string_view word : words) command.add(word);
}

}  // namespace weir::net
