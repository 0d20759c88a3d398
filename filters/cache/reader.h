// Who reads a stored answer, whole or while it is still coming.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "filters/cache/meta.h"

namespace weir::filters::cache {

class Slabs;
class Store;
struct Block;
struct Body;
struct Object;

// A member of whoever waits for more bytes of a growing body. Its owner calls Reader::unwait()
// before it dies; while it waits it does not move.
class Waiter {
 public:
  // There is more, or the body is over. Once per wait(), on the writer's thread, with a lock of the
  // store held: do nothing but post to the worker of whoever waits.
  virtual void on_grown() noexcept = 0;

 protected:
  Waiter() = default;
  virtual ~Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

 private:
  friend class Reader;
  friend void wake_waiters(Body& body);
  Waiter* next_ = nullptr;
  Waiter* previous_ = nullptr;
  bool waits_ = false;  // under the lock
};

enum class BodyState : uint8_t {
  kGrowing,
  kWhole,
  kBroken,  // the writer has given up: what was published is all there will be
};

// One count on one answer: meta and head stay as they were, all representations that it had then
// stay where they are, until the last reader has gone, whatever becomes of the answer in the store.
// A copy is a count of its own. One thread at a time; different ones may have copies. Reading
// takes no lock. Must not outlive the Store.
class Reader {
 public:
  Reader() = default;  // of nothing
  Reader(const Reader& other);
  Reader(Reader&& other) noexcept;
  Reader& operator=(Reader other) noexcept;  // copies or moves
  ~Reader();

  explicit operator bool() const { return object_ != nullptr; }
  // Two readers of the very same answer (not of one that was refreshed in between).
  friend bool operator==(const Reader& a, const Reader& b) { return a.object_ == b.object_; }

  // REQUIRES one: all below.
  const Meta& meta() const;
  std::string_view head() const;
  bool has(Encoding encoding) const;

  // Turns to a representation, at its begin. REQUIRES has(encoding). A fresh reader is at the
  // first one that there is, so at the only one of an answer that grows.
  void open(Encoding encoding);
  Encoding encoding() const;
  std::string_view suffix() const;  // that part of the head which is this representation's own
  BodyState state() const;
  // Bytes that can be read, from the body's begin. When state() was kWhole before: its length.
  uint64_t published() const;

  // Where the next bytes are, in order: fills `out`, at most `max_bytes` in all, and returns how
  // many spans. They are valid while this reader, or a copy, is. Does not move on. What could be
  // lent begins a row of its own.
  size_t spans(std::span<std::string_view> out, uint64_t max_bytes) const;
  // The next bytes as a part of a file, where they lie in pages of their own: to be sent as they
  // are, in the order of all. None, of no bytes: use spans(). Does not move on. Their pages are
  // made anew before they are used for something else: that costs as much as ten copies.
  struct FilePart {
    int file = -1;
    uint64_t offset_bytes = 0;
    size_t bytes = 0;
  };
  FilePart lend(uint64_t max_bytes);
  void consume(uint64_t bytes);  // REQUIRES position() + bytes <= published()
  uint64_t position() const { return position_; }
  void seek(uint64_t position);  // REQUIRES position <= published(); O(blocks)

  // Calls `waiter` when there is more than position(), or the body is over. False: that is so
  // already, nobody is called. REQUIRES that it does not wait yet.
  bool wait(Waiter& waiter);
  // Afterwards it is not called any more. May be called when nothing waits.
  void unwait(Waiter& waiter);

 private:
  friend class Store;
  friend class Writer;
  // Takes over one of its counts.
  Reader(Slabs& slabs, Object& object);

  Slabs* slabs_ = nullptr;
  Object* object_ = nullptr;
  Body* body_ = nullptr;
  Block* block_ = nullptr;    // that position_ is in, or just behind
  uint64_t block_begin_ = 0;  // of its first byte, from the body's begin
  uint64_t position_ = 0;
};

}  // namespace weir::filters::cache
