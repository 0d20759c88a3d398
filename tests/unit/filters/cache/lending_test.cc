// Bodies that are sent as they lie in memory, without a copy.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "filters/cache/object.h"
#include "filters/cache/slab.h"
#include "filters/cache/store.h"
#include "support.h"

namespace weir::filters::cache {
namespace {

constexpr size_t kPage = Slabs::kPageBytes;

// Holds pages of a file as a socket does: by reference.
class Pipe {
 public:
  Pipe() { WEIR_CHECK(pipe2(ends_.data(), O_CLOEXEC) == 0); }
  ~Pipe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  void put(int file, uint64_t offset_bytes, size_t bytes) {
    auto at = static_cast<off64_t>(offset_bytes);
    WEIR_CHECK(splice(file, &at, ends_[1], nullptr, bytes, SPLICE_F_NONBLOCK) ==
               static_cast<ssize_t>(bytes));
  }
  std::string get(size_t bytes) {
    std::string out(bytes, '\0');
    WEIR_CHECK(read(ends_[0], out.data(), bytes) == static_cast<ssize_t>(bytes));
    return out;
  }

 private:
  std::array<int, 2> ends_;
};

std::string read_file(const Reader::FilePart& part) {
  std::string out(part.bytes, '\0');
  WEIR_CHECK(pread(part.file, out.data(), out.size(), static_cast<off_t>(part.offset_bytes)) ==
             static_cast<ssize_t>(out.size()));
  return out;
}

// All that is left, as one who sends files does; how much of it was lent.
size_t read_lent(Reader& reader, std::string& out) {
  size_t lent = 0;
  for (;;) {
    const Reader::FilePart part = reader.lend(UINT64_MAX);
    std::array<std::string_view, 4> spans;
    size_t bytes = part.bytes;
    if (part.bytes > 0) {
      out += read_file(part);
      lent += part.bytes;
    } else {
      const size_t count = reader.spans(spans, UINT64_MAX);
      if (count == 0) return lent;
      for (size_t i = 0; i < count; ++i) {
        out += spans[i];
        bytes += spans[i].size();
      }
    }
    reader.consume(bytes);
  }
}

StoreOptions options() {
  return {.memory_bytes = 16 << 20, .max_object_bytes = 8 << 20, .shards = 1};
}

// Where limits or the kernel let there be no file, nothing is lent.
bool is_lent_here() {
  const bool lent = Slabs(Slabs::kSlabBytes).file() >= 0;
  if (!lent) WARN("no file in memory here: not tested");
  return lent;
}

// While it lives there is no file for new slabs.
class FilesLimited {
 public:
  FilesLimited() {
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before_) == 0);
    rlimit limit = before_;
    limit.rlim_cur = 1 << 30;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FilesLimited() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_ = {};
};

TEST_CASE("cache lending: a page that was sent stays as it was when its memory is used again") {
  if (!is_lent_here()) return;
  Slabs slabs(4 * Slabs::kSlabBytes);
  const Slabs::Run run = slabs.take(Block::cells_for_pages(kPage), 1);
  REQUIRE(run);
  char* const page = Block::page_at(static_cast<char*>(run.at));
  std::memset(page, 'a', kPage);
  Pipe renewed;
  renewed.put(slabs.file(), slabs.offset_in_file(page), kPage);
  slabs.renew(page, kPage);
  CHECK(std::string_view(page, kPage) == std::string(kPage, '\0'));
  std::memset(page, 'b', kPage);
  CHECK(renewed.get(kPage) == std::string(kPage, 'a'));
  // So that this is about what it says: a pipe has the page, not a copy.
  Pipe kept;
  kept.put(slabs.file(), slabs.offset_in_file(page), kPage);
  std::memset(page, 'c', kPage);
  CHECK(kept.get(kPage) == std::string(kPage, 'c'));
  slabs.give_back(run.at, run.cells);
  CHECK(slabs.used_bytes() == 0);
}

TEST_CASE("cache lending: of a large body nearly all") {
  if (!is_lent_here()) return;
  Store store(options());
  for (const size_t size : {131'072, 131'073, 262'144, 1'000'000, 1'048'576, 5'000'000}) {
    for (const bool sized : {true, false}) {
      CAPTURE(size, sized);
      const std::string body = pattern(size, size);
      Put how;
      how.sized = sized;
      REQUIRE(put(store, "a", body, how));
      Reader reader = get(store, "a");
      std::string read;
      const size_t lent = read_lent(reader, read);
      CHECK(read == body);
      CHECK(lent >= (sized ? size - 64 * 1024 : size < 1'000'000 ? 0 : size / 2));
      reader.open(Encoding::kIdentity);
      CHECK(rest_of(reader) == body);
      reader.seek(100'001);
      read.clear();
      read_lent(reader, read);
      CHECK(read == body.substr(100'001));
    }
  }
}

TEST_CASE("cache lending: small bodies are not worth it, and take no pages") {
  Store store(options());
  for (const size_t size : {0, 1, 4096, 65'536, 131'071}) {
    REQUIRE(put(store, "a", pattern(size, 1)));
    Reader reader = get(store, "a");
    std::string read;
    CHECK(read_lent(reader, read) == 0);
    CHECK(read.size() == size);
  }
}

TEST_CASE("cache lending: who reads along is lent what there is") {
  if (!is_lent_here()) return;
  Store store(options());
  Writer writer = store.begin("a");
  Answer answer;
  answer.expected_bytes = 1 << 20;
  REQUIRE(writer.start(answer) == Room::kOk);
  Reader reader = writer.reader();
  std::string all;
  std::string read;
  size_t lent = 0;
  for (uint64_t i = 0; i < 16; ++i) {
    all += pattern(65'536, i);
    REQUIRE(writer.append(std::string_view(all).substr(all.size() - 65'536)) == Room::kOk);
    lent += read_lent(reader, read);
    REQUIRE(read == all);
  }
  CHECK(lent > 900'000);
  CHECK(writer.finish());
}

TEST_CASE("cache lending: what is in a socket survives the answer, and its memory is had again") {
  if (!is_lent_here()) return;
  Store store(options());
  const std::string body = pattern(1 << 20, 7);
  const uint64_t before = store.stats().bytes;
  std::vector<std::string> sent;
  Pipe pipe;
  {
    REQUIRE(put(store, "a", body));
    Reader reader = get(store, "a");
    while (reader.position() < body.size()) {
      const Reader::FilePart part = reader.lend(UINT64_MAX);
      if (part.bytes >= 2 * kPage && sent.size() < 4) {
        pipe.put(part.file, part.offset_bytes + 100, kPage);
        sent.push_back(body.substr(reader.position() + 100, kPage));
      }
      std::array<std::string_view, 1> span;
      REQUIRE(reader.spans(span, UINT64_MAX) == 1);
      reader.consume(span[0].size());
    }
  }
  REQUIRE(sent.size() == 4);
  // Ten times the memory.
  for (uint64_t i = 0; i < 160; ++i) {
    const std::string other = pattern(1 << 20, i + 100);
    REQUIRE(put(store, "o" + std::to_string(i), other));
    Reader reader = get(store, "o" + std::to_string(i));
    std::string read;
    read_lent(reader, read);
    REQUIRE(read == other);
  }
  CHECK_FALSE(has(store, "a"));
  for (const std::string& page : sent) CHECK(pipe.get(kPage) == page);
  store.purge_all(Purge::kRemove);
  for (uint64_t i = 0; i < 100 && store.stats().bytes > before; ++i) {
    REQUIRE(put(store, "x", "x"));
  }
  CHECK(store.stats().bytes < before + 10'000);
}

TEST_CASE("cache lending: what was lent of an answer that broke off stays as it was, too") {
  if (!is_lent_here()) return;
  Store store(options());
  const std::string body = pattern(300'000, 9);
  std::string sent;
  Pipe pipe;
  {
    Writer writer = store.begin("a");
    Answer answer;
    answer.expected_bytes = 1 << 20;
    REQUIRE(writer.start(answer) == Room::kOk);
    REQUIRE(writer.append(body) == Room::kOk);
    Reader reader = writer.reader();
    std::array<std::string_view, 1> span;
    if (reader.lend(UINT64_MAX).bytes == 0 && reader.spans(span, UINT64_MAX) == 1) {
      reader.consume(span[0].size());
    }
    const Reader::FilePart part = reader.lend(UINT64_MAX);
    REQUIRE(part.bytes >= 8 * kPage);
    pipe.put(part.file, part.offset_bytes, 8 * kPage);
    sent = body.substr(reader.position(), 8 * kPage);
    writer.abort();
    CHECK(reader.state() == BodyState::kBroken);
  }
  for (uint64_t i = 0; i < 16; ++i) {
    REQUIRE(put(store, "o" + std::to_string(i), pattern(1 << 20, i + 100)));
  }
  CHECK(pipe.get(8 * kPage) == sent);
}

// Every second of many answers goes, the others are read and have to stay: what comes then lies in
// the holes between them.
TEST_CASE("cache lending: in holes of all sizes bodies are right, and take no more than they are") {
  for (const size_t hole : {1'000, 5'000, 20'000, 34'000, 40'000, 63'000, 100'000, 200'000}) {
    CAPTURE(hole);
    Store store(options());
    std::vector<Reader> kept;
    const size_t count = 15'000'000 / (hole + 200);
    for (size_t i = 0; i < count; ++i) {
      REQUIRE(put(store, std::to_string(i), pattern(hole, i)));
      if (i % 2 == 0) kept.push_back(get(store, std::to_string(i)));
    }
    for (size_t i = 1; i < count; i += 2) store.purge(std::to_string(i), Purge::kRemove);
    const std::string body = pattern(6'000'000, 3);
    const uint64_t before = store.stats().bytes;
    REQUIRE(put(store, "large", body));
    CHECK(store.stats().bytes - before < body.size() + body.size() / 16);
    Reader reader = get(store, "large");
    std::string read;
    read_lent(reader, read);
    CHECK(read == body);
    for (size_t i = 0; i < kept.size(); ++i) CHECK(rest_of(kept[i]) == pattern(hole, 2 * i));
  }
}

// Each key always has the same body. What a pipe has of it is looked at when the answer may be gone
// and its memory another one's.
TEST_CASE("cache lending: threads that are lent bodies while others evict them", "[threads]") {
  if (!is_lent_here()) return;
  constexpr uint64_t kKeys = 40;
  constexpr size_t kBytes = 1 << 20;  // more than twice the memory in all
  Store store(options());
  std::atomic<bool> done = false;
  std::atomic<uint64_t> lent = 0;
  std::atomic<uint64_t> wrong = 0;
  const auto read = [&](uint64_t seed) {
    Pipe pipe;
    for (uint64_t i = seed; !done.load(); i = i * 5 + 1) {
      const uint64_t key = i % kKeys;
      const std::string body = pattern(kBytes, key);
      std::string sent;
      {
        Reader reader = get(store, std::to_string(key));
        if (!reader) continue;
        reader.seek(kBytes / 4);
        const Reader::FilePart part = reader.lend(UINT64_MAX);
        if (part.bytes >= 4 * kPage) {
          pipe.put(part.file, part.offset_bytes, 4 * kPage);
          sent = body.substr(reader.position(), 4 * kPage);
        }
      }
      Reader again = get(store, std::to_string(key));
      std::string all;
      if (again) read_lent(again, all);
      if (again && all != body) ++wrong;
      if (!sent.empty() && pipe.get(4 * kPage) != sent) ++wrong;
      lent += sent.size();
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t seed = 1; seed <= 2; ++seed) threads.emplace_back(read, seed);
  for (uint64_t i = 0; i < 600 || (lent == 0 && i < 60'000); ++i) {
    const uint64_t key = i * 7 % kKeys;
    put(store, std::to_string(key), pattern(kBytes, key));
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(lent > 0);
}

TEST_CASE("cache lending: without a file all is as it was, and nothing is lent") {
  const FilesLimited limited;
  REQUIRE(Slabs(Slabs::kSlabBytes).file() < 0);
  Store store(options());
  for (uint64_t i = 0; i < 40; ++i) {
    const std::string body = pattern(100'000 + 50'000 * i, i);
    REQUIRE(put(store, "a", body));
    Reader reader = get(store, "a");
    std::string read;
    CHECK(read_lent(reader, read) == 0);
    CHECK(read == body);
  }
}

}  // namespace
}  // namespace weir::filters::cache
