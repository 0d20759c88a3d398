// An answer, or one more representation of one, on its way into the store.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "filters/cache/meta.h"
#include "filters/cache/reader.h"

namespace weir::filters::cache {

struct Growing;

// What is known of an answer when its head has come. Everything is copied.
struct Answer {
  Meta meta;
  std::string_view head;  // opaque; at most Store::kHeadBytesMax
  // The names of the Vary list as the filter writes them (normalised, in a fixed order), kept once
  // per primary key, and this variant's key by them. When another list comes for a key, its old
  // variants go: merge lists before, where answers differ in theirs. Both empty: one variant.
  std::string_view vary;
  std::string_view secondary;
  std::span<const std::string_view> tags;
  Encoding encoding = Encoding::kIdentity;  // of the body that follows
  std::string_view suffix;                  // Reader::suffix() of that body
  uint64_t expected_bytes = 0;              // of the body; 0: not known. Only a hint
};

enum class Room : uint8_t {
  kOk,
  kTooLarge,  // over max_object
  kNoMemory,  // nothing can be evicted: it is all being read or written
  kTags,      // of start(): more of them, or longer, than Store has bounds for
  kPurged,    // of start(): one of its tags has been purged since it was begun
};

// Made by Store::begin() or begin_encoding(). Begin early, before the origin is asked: a purge that
// comes meanwhile then hits this answer too; it goes to those who read it, not into the index. Also
// for a question that a 304 may answer: Store::refresh().
// One thread. Dropped unfinished, it aborts. Must not outlive the Store.
class Writer {
 public:
  Writer() = default;  // of nothing
  Writer(Writer&& other) noexcept;
  Writer& operator=(Writer&& other) noexcept;
  ~Writer();

  explicit operator bool() const { return growing_ != nullptr; }

  // Once, before append(). Not of begin_encoding(), which has started. Other than kOk: this
  // answer cannot be stored; drop the writer.
  Room start(const Answer& answer);
  // A count of its own for somebody who reads along. REQUIRES started.
  Reader reader() const;
  // Whether there is one of those yet. REQUIRES started.
  bool is_read() const;

  // Copies `bytes` behind what there is, publishes them and wakes who waits. Other than kOk:
  // nothing of `bytes` was published, nothing more is taken and finish() will not store it; who
  // reads it can read what there is. REQUIRES started.
  Room append(std::string_view bytes);
  // Bytes appended so far.
  uint64_t size() const;

  // The body is whole. True: in the index, instead of what was there. False: it was not stored
  // (purged meanwhile, no memory for the index, the answer to which a representation belonged is
  // gone); readers have it whole all the same, unless append() failed. Afterwards there is nothing.
  bool finish();
  // The body will never be whole: who reads it sees kBroken behind its last byte. Afterwards there
  // is nothing.
  void abort();

 private:
  friend class Store;
  Writer(Store& store, Growing& growing) : store_(&store), growing_(&growing) {}

  Store* store_ = nullptr;
  Growing* growing_ = nullptr;
};

}  // namespace weir::filters::cache
