#include "filters/cache/slab.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace weir::filters::cache {
namespace {

constexpr uint64_t kSlab = Slabs::kSlabBytes;

struct Piece8 {
  char* at;
  uint32_t cells;
  unsigned char mark;
};

bool is_whole(const Piece8& piece) {
  const size_t bytes = piece.cells * Slabs::kCellBytes;
  return std::all_of(piece.at, piece.at + bytes,
                     [&](char c) { return static_cast<unsigned char>(c) == piece.mark; });
}

Piece8 filled(const Slabs::Run& run, unsigned char mark) {
  std::memset(run.at, mark, run.cells * Slabs::kCellBytes);
  return {static_cast<char*>(run.at), run.cells, mark};
}

TEST_CASE("cache slabs: runs do not overlap, and everything can be had again") {
  Slabs slabs(8 * kSlab);
  std::mt19937 random(1);
  std::vector<Piece8> out;
  uint64_t cells = 0;
  for (int i = 0; i < 60'000; ++i) {
    const bool take = out.empty() || random() % 100 < (slabs.used_bytes() > 6 * kSlab ? 40 : 60);
    if (take) {
      const uint32_t wanted = random() % 10 == 0 ? random() % 1024 + 1 : random() % 40 + 1;
      const Slabs::Run run = slabs.take(wanted, 1);
      if (!run) continue;
      REQUIRE(run.cells <= wanted);
      out.push_back(filled(run, static_cast<unsigned char>(i)));
      cells += run.cells;
    } else {
      std::swap(out[random() % out.size()], out.back());
      REQUIRE(is_whole(out.back()));
      slabs.give_back(out.back().at, out.back().cells);
      cells -= out.back().cells;
      out.pop_back();
    }
    if (i % 10'000 == 0) REQUIRE(slabs.consistent());
  }
  CHECK(slabs.used_bytes() == cells * Slabs::kCellBytes);
  CHECK(slabs.slab_bytes() <= 8 * kSlab);
  for (const Piece8& piece : out) slabs.give_back(piece.at, piece.cells);
  CHECK(slabs.used_bytes() == 0);
  CHECK(slabs.slab_bytes() == 0);
  CHECK(slabs.consistent());
}

TEST_CASE("cache slabs: a bound is a bound, and pieces are had to the last cell") {
  Slabs slabs(2 * kSlab);
  uint64_t cells = 0;
  std::vector<Slabs::Run> runs;
  while (const Slabs::Run run = slabs.take(1024, 1)) {
    cells += run.cells;
    runs.push_back(run);
  }
  CHECK(cells == 2 * (Slabs::kSlabCells - 129));
  CHECK(slabs.slab_bytes() == 2 * kSlab);
  // Every second one is free: none of full length, but shorter ones.
  for (size_t i = 0; i < runs.size(); i += 2) slabs.give_back(runs[i].at, runs[i].cells);
  CHECK_FALSE(slabs.take(2048, 2048));
  const Slabs::Run shorter = slabs.take(2048, 512);
  CHECK(shorter.cells == 1024);
  slabs.give_back(shorter.at, shorter.cells);
  CHECK(slabs.consistent());
}

TEST_CASE("cache slabs: the tail of a run can be given back") {
  Slabs slabs(kSlab);
  const Slabs::Run run = slabs.take(100, 100);
  CHECK(run.cells == 100);
  slabs.give_back(static_cast<char*>(run.at) + 10 * Slabs::kCellBytes, 90);
  CHECK(slabs.used_bytes() == 10 * Slabs::kCellBytes);
  slabs.give_back(run.at, 10);
  CHECK(slabs.slab_bytes() == 0);
  CHECK(slabs.consistent());
}

TEST_CASE("cache slabs: a lower bound takes slabs out of use as they empty") {
  Slabs slabs(8 * kSlab);
  std::vector<Slabs::Run> runs;
  while (const Slabs::Run run = slabs.take(1024, 1024)) runs.push_back(run);
  CHECK(slabs.slab_bytes() == 8 * kSlab);
  slabs.set_limit(3 * kSlab);
  // The second half is nearly empty: that is what goes.
  std::vector<Slabs::Run> kept;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (i < runs.size() / 4 || i % 10 == 0) {
      kept.push_back(runs[i]);
    } else {
      slabs.give_back(runs[i].at, runs[i].cells);
    }
  }
  const size_t leaving = slabs.retire();
  CHECK(leaving > 0);
  CHECK(leaving <= 5);
  CHECK(slabs.consistent());
  for (const Slabs::Run& run : kept) {
    if (slabs.retired(run.at)) slabs.give_back(run.at, run.cells);
  }
  CHECK(slabs.slab_bytes() <= 3 * kSlab);
  CHECK(slabs.retire() == 0);
  slabs.set_limit(8 * kSlab);
  size_t more = 0;
  while (slabs.take(1024, 1024)) ++more;
  CHECK(more >= 5 * 30);
  CHECK(slabs.slab_bytes() == 8 * kSlab);
  CHECK(slabs.consistent());
}

TEST_CASE("cache slabs: threads", "[threads]") {
  Slabs slabs(8 * kSlab);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      std::vector<Piece8> out;
      for (int i = 0; i < 5'000; ++i) {
        if (out.size() < 50) {
          const Slabs::Run run = slabs.take(random() % 200 + 1, 1);
          if (run) out.push_back(filled(run, static_cast<unsigned char>(t)));
        } else {
          std::swap(out[random() % out.size()], out.back());
          if (!is_whole(out.back())) std::abort();
          slabs.give_back(out.back().at, out.back().cells);
          out.pop_back();
        }
      }
      for (const Piece8& piece : out) slabs.give_back(piece.at, piece.cells);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(slabs.used_bytes() == 0);
  CHECK(slabs.consistent());
}

}  // namespace
}  // namespace weir::filters::cache
