// The store's memory: one mapping, cut into slabs of 2 MiB, these into cells of 64 bytes, given out
// in runs of cells. Pages are touched when they are first used, and what was given back is used
// before anything new.
//
// Neighbours that are free are one run, whatever their lengths were; free runs are kept by length
// in lists, so that a run is cut from the shortest that certainly does (segregated fits, as in
// TLSF: Masmano et al. 2004). Slabs that are wholly free go back to the pool: no size of objects
// keeps memory from another. Who can do with pieces says so (`least`), and never fails while cells
// are free.
//
// The mapping is of a file in memory that nobody else has, so that the kernel can send whole pages
// of it as they are (sendfile). A page that was sent may lie in a socket for long: whoever gives it
// back changes it for a fresh one before (renew()), and what is on its way stays as it was.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace weir::filters::cache {

// Any thread. Its lock is the innermost.
class Slabs {
 public:
  static constexpr size_t kCellBytes = 64;
  static constexpr size_t kSlabBytes = 2 << 20;  // a large page of most machines
  static constexpr uint32_t kSlabCells = kSlabBytes / kCellBytes;
  // The longest run.
  static constexpr uint32_t kRunCellsMax = kSlabCells / 4;
  // Address space is taken for it at once, if the system lets us: a bound may rise at a reload.
  static constexpr uint64_t kBytesMax = uint64_t{128} << 30;

  static constexpr size_t kPageBytes = 4096;  // where pages are larger, there is no file

  static constexpr uint32_t cells_of(size_t bytes) {
    return static_cast<uint32_t>((bytes + kCellBytes - 1) / kCellBytes);
  }

  explicit Slabs(uint64_t bytes);
  ~Slabs();
  Slabs(const Slabs&) = delete;
  Slabs& operator=(const Slabs&) = delete;

  struct Run {
    void* at = nullptr;
    uint32_t cells = 0;
    explicit operator bool() const { return at != nullptr; }
  };
  // `wanted` cells in a row; where there are none, as many as there are, but `least`. Aligned to a
  // cell, with whatever was there. REQUIRES least <= wanted <= kRunCellsMax.
  Run take(uint32_t wanted, uint32_t least);
  // All of a run, or its tail.
  void give_back(void* at, uint32_t cells);

  // That the memory is in; -1: none. Open as long as this lives.
  int file() const { return file_; }
  uint64_t offset_in_file(const void* at) const {
    return static_cast<uint64_t>(static_cast<const char*>(at) - static_cast<char*>(mapping_));
  }
  // Whole pages that were sent out of the file: fresh ones take their place, of zeros. REQUIRES a
  // file.
  void renew(void* at, size_t bytes);

  // A cell's number: half as long as its address. 0 is none's.
  uint32_t number_of(const void* at) const {
    return static_cast<uint32_t>((static_cast<const char*>(at) - base_) / kCellBytes);
  }
  template <typename T>
  T* at(uint32_t number) const {
    return number == 0 ? nullptr : reinterpret_cast<T*>(base_ + size_t{number} * kCellBytes);
  }

  // How many bytes of slabs there may be. A lower limit gives free slabs back to the kernel; those
  // that are in use stay until retire() has been called and they are free.
  void set_limit(uint64_t bytes);
  // Takes the emptiest slabs over the limit out of use: nothing is taken of them any more, and each
  // is given back to the kernel when its last run is. How many they are.
  size_t retire();
  bool retired(const void* at) const;

  uint64_t limit_bytes() const;
  uint64_t used_bytes() const;  // of runs that are out
  uint64_t slab_bytes() const;  // of slabs in use: what may be resident of them
  // For tests: whether the books are right.
  bool consistent() const;

 private:
  // Lengths below kExact have a list each, above it every power of two has kPerPower.
  static constexpr uint32_t kExact = 16;
  static constexpr unsigned kPerPower = 8;
  static constexpr size_t kLists = 104;
  static constexpr int kLooksMax = 8;  // into a list whose runs may or may not be long enough
  enum class State : uint8_t { kFree, kInUse, kRetired };
  struct Header;
  struct Free;

  static size_t list_of(uint32_t cells);
  size_t slab_of(const void* at) const {
    return static_cast<size_t>(static_cast<const char*>(at) - base_) / kSlabBytes;
  }
  Header& header(size_t slab) const;
  Free& free_at(uint32_t number) const;
  uint32_t& end_of(uint32_t number, uint32_t cells) const;
  size_t first_list(size_t from) const;
  uint32_t find(uint32_t wanted, uint32_t least);
  bool open_slab();
  void close_slab(size_t slab);
  void put(uint32_t number, uint32_t cells);
  void link(uint32_t number, uint32_t cells);
  void unlink(uint32_t number);
  void unlink_all(size_t slab);
  void release(size_t slab);
  bool release_one();
  void make_writable();
  bool map(uint64_t bytes);
  const char* map_file(uint64_t bytes);
  bool can_renew();

  int file_ = -1;
  void* mapping_ = nullptr;
  uint64_t mapped_bytes_ = 0;
  char* base_ = nullptr;  // in it, at a slab's border
  uint64_t reserved_bytes_ = 0;

  mutable std::mutex mutex_;  // of all below
  size_t limit_ = 0;          // slabs that may be in use
  size_t writable_ = 0;       // slabs from the mapping's begin
  size_t in_use_ = 0;         // and not retired
  size_t retired_ = 0;
  uint64_t used_cells_ = 0;
  std::vector<State> states_;                // of slabs that have ever been in use
  std::vector<uint32_t> free_;               // of them, those that are not now: with their pages
  std::vector<uint32_t> cold_;               // and without
  std::array<uint32_t, kLists> lists_ = {};  // of free runs: cells' numbers
  std::array<uint64_t, 2> any_ = {};         // bit n: lists_[n] is not empty
};

}  // namespace weir::filters::cache
