#include "filters/cache/slab.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) void()
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) void()
#endif

#include "base/check.h"
#include "base/log.h"

namespace weir::filters::cache {

// At the begin of every slab that is in use. A bit per cell.
struct Slabs::Header {
  using Bits = std::array<uint64_t, kSlabCells / 64>;
  static bool is(const Bits& bits, uint32_t cell) {
    return (bits[cell / 64] >> (cell % 64) & 1) != 0;
  }
  static void set(Bits& bits, uint32_t cell) { bits[cell / 64] |= uint64_t{1} << (cell % 64); }
  static void clear(Bits& bits, uint32_t cell) { bits[cell / 64] &= ~(uint64_t{1} << (cell % 64)); }

  Bits begins;  // a free run begins there
  Bits ends;    // that is the last cell of one
  uint32_t used_cells;
};

// At the begin of every free run. Its length is once more in the last four bytes of its last cell.
struct Slabs::Free {
  uint32_t next;
  uint32_t previous;
  uint32_t cells;
};

namespace {

constexpr uint32_t kFirstCell = 129;  // behind the header

// Strict overcommitment counts the pages of a file when they are touched, and has nothing but
// SIGBUS to say that there are no more: then there is none.
bool is_overcommit_strict() {
  char mode = '2';
  const int file = ::open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;
  const bool read = ::read(file, &mode, 1) == 1;
  ::close(file);
  return !read || mode == '2';
}

// A limit of files' sizes holds for those in memory as well: ftruncate() would bring a signal.
bool are_files_limited() {
  rlimit limit = {};
  return ::getrlimit(RLIMIT_FSIZE, &limit) != 0 ||
         limit.rlim_cur < Slabs::kBytesMax + Slabs::kSlabBytes;
}

// Why there is to be none; null: nothing is against it.
const char* why_no_file() {
  if (::sysconf(_SC_PAGESIZE) != static_cast<long>(Slabs::kPageBytes)) return "pages are not 4 KiB";
  if (is_overcommit_strict()) return "vm.overcommit_memory is 2, or cannot be read";
  if (are_files_limited()) return "sizes of files are limited";
  return nullptr;
}

// Some systems refuse files that could be executed, others do not know (EINVAL) that one can do
// without.
int make_file() {
  constexpr unsigned kNoExecSeal = 0x0008U;  // MFD_NOEXEC_SEAL, not in the headers of Debian 12
  const int file = ::memfd_create("weir-cache", MFD_CLOEXEC | kNoExecSeal);
  return file >= 0 || errno != EINVAL ? file : ::memfd_create("weir-cache", MFD_CLOEXEC);
}

}  // namespace

// Nothing of it is writable before it is in use, so that strict overcommitment counts the bound and
// not the reserve. A file has no large pages (map_file()). Without one the system may give them
// unasked, but none is resident that is not in use: a slab is one. They are not asked for: the
// kernel would tidy up memory for them, 9 ms for one. Answers of other people's sites have no place
// in a core dump.
Slabs::Slabs(uint64_t bytes) {
  static_assert(sizeof(Header) <= kFirstCell * kCellBytes);
  if (const char* const why = map_file(bytes)) {
    log_info("cache: large answers are copied for each client: no file in memory: {}", why);
    WEIR_CHECK(map(bytes));
  }
  ::madvise(base_, reserved_bytes_, MADV_DONTDUMP);
  set_limit(bytes);
}

Slabs::~Slabs() {
  ASAN_UNPOISON_MEMORY_REGION(base_, states_.size() * kSlabBytes);
  ::munmap(mapping_, mapped_bytes_);
  if (file_ >= 0) ::close(file_);
}

// False: there is not that much.
bool Slabs::map(uint64_t bytes) {
  const int flags = file_ >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
  for (const uint64_t size : {kBytesMax, bytes / kSlabBytes * kSlabBytes}) {
    mapped_bytes_ = size + kSlabBytes;
    if (file_ >= 0 && ::ftruncate(file_, static_cast<off_t>(mapped_bytes_)) != 0) continue;
    mapping_ = ::mmap(nullptr, mapped_bytes_, PROT_NONE, flags | MAP_NORESERVE, file_, 0);
    if (mapping_ == MAP_FAILED) continue;
    reserved_bytes_ = size;
    const auto at = reinterpret_cast<uintptr_t>(mapping_);
    base_ = static_cast<char*>(mapping_) + (kSlabBytes - at % kSlabBytes) % kSlabBytes;
    return true;
  }
  return false;
}

// Why not, and then nothing is mapped; null: it is done. Without large pages: of a part of one the
// kernel makes no fresh page, but clears it, under the sockets that hold it. A kernel that has none
// says EINVAL.
const char* Slabs::map_file(uint64_t bytes) {
  if (const char* const why = why_no_file()) return why;
  file_ = make_file();
  if (file_ < 0) return std::strerror(errno);
  const char* why = nullptr;
  if (!map(bytes)) {
    why = std::strerror(errno);
  } else if ((::madvise(mapping_, mapped_bytes_, MADV_NOHUGEPAGE) != 0 && errno != EINVAL) ||
             !can_renew()) {
    why = "its pages cannot be changed for fresh ones";
    ::munmap(mapping_, mapped_bytes_);
  }
  if (why != nullptr) ::close(std::exchange(file_, -1));
  return why;
}

// Whether a page becomes a fresh one while a pipe, as a socket would, keeps what was in it. In a
// whole slab that is writable: in less the kernel makes no large page, and this would say nothing.
bool Slabs::can_renew() {
  std::array<int, 2> pipe = {};
  if (::mprotect(base_, kSlabBytes, PROT_READ | PROT_WRITE) != 0) return false;
  if (::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) return false;
  *base_ = 'a';
  auto at = static_cast<off64_t>(offset_in_file(base_));
  char kept = 0;
  const bool can = ::splice(file_, &at, pipe[1], nullptr, 1, 0) == 1 &&
                   ::madvise(base_, kPageBytes, MADV_REMOVE) == 0 && *base_ == 0 &&
                   ::read(pipe[0], &kept, 1) == 1 && kept == 'a';
  for (const int end : pipe) ::close(end);
  return can;
}

Slabs::Header& Slabs::header(size_t slab) const {
  return *reinterpret_cast<Header*>(base_ + slab * kSlabBytes);
}

Slabs::Free& Slabs::free_at(uint32_t number) const { return *at<Free>(number); }

uint32_t& Slabs::end_of(uint32_t number, uint32_t cells) const {
  return *(reinterpret_cast<uint32_t*>(base_ + (size_t{number} + cells) * kCellBytes) - 1);
}

size_t Slabs::list_of(uint32_t cells) {
  if (cells < kExact) return cells;
  const auto power = static_cast<unsigned>(std::bit_width(cells) - 1);
  constexpr unsigned kFirstPower = 4;  // of kExact
  return kExact + (power - kFirstPower) * kPerPower + (cells >> (power - 3) & (kPerPower - 1));
}

// The first one from `from` on that is not empty; kLists: none.
size_t Slabs::first_list(size_t from) const {
  for (size_t word = from / 64; word < any_.size(); ++word) {
    const uint64_t bits = word == from / 64 ? any_[word] >> (from % 64) << (from % 64) : any_[word];
    if (bits != 0) return word * 64 + static_cast<size_t>(std::countr_zero(bits));
  }
  return kLists;
}

// A free run of `wanted` cells or more, else about the longest one if that is not below `least`.
// 0: none.
uint32_t Slabs::find(uint32_t wanted, uint32_t least) {
  // The list behind the one of `wanted`, unless that has nothing shorter.
  const size_t own = list_of(wanted);
  const size_t sure = wanted < kExact || list_of(wanted - 1) != own ? own : own + 1;
  if (const size_t list = first_list(sure); list < kLists) return lists_[list];
  uint32_t number = lists_[own];
  for (int looks = 0; number != 0 && looks < kLooksMax; ++looks) {
    if (free_at(number).cells >= wanted) return number;
    number = free_at(number).next;
  }
  if (open_slab()) return lists_[first_list(sure)];
  if (any_[0] == 0 && any_[1] == 0) return 0;
  const size_t word = any_[1] != 0 ? 1 : 0;
  const uint32_t longest = lists_[word * 64 + static_cast<size_t>(std::bit_width(any_[word])) - 1];
  return free_at(longest).cells >= least ? longest : 0;
}

Slabs::Run Slabs::take(uint32_t wanted, uint32_t least) {
  WEIR_ASSERT(least > 0 && least <= wanted && wanted <= kRunCellsMax);
  const std::lock_guard lock(mutex_);
  const uint32_t number = find(wanted, least);
  if (number == 0) return {};
  const uint32_t size = free_at(number).cells;
  unlink(number);
  const uint32_t cells = std::min(size, wanted);
  if (cells < size) link(number + cells, size - cells);
  header(number / kSlabCells).used_cells += cells;
  used_cells_ += cells;
  void* const at = base_ + size_t{number} * kCellBytes;
  ASAN_UNPOISON_MEMORY_REGION(at, cells * kCellBytes);
  return {at, cells};
}

void Slabs::give_back(void* at, uint32_t cells) {
  if (cells == 0) return;
  ASAN_POISON_MEMORY_REGION(at, cells * kCellBytes);
  const std::lock_guard lock(mutex_);
  const size_t slab = slab_of(at);
  WEIR_ASSERT(number_of(at) % kSlabCells >= kFirstCell && header(slab).used_cells >= cells);
  header(slab).used_cells -= cells;
  used_cells_ -= cells;
  if (states_[slab] != State::kRetired) put(number_of(at), cells);
  if (header(slab).used_cells == 0) close_slab(slab);
}

bool Slabs::open_slab() {
  if (in_use_ + retired_ >= limit_) return false;
  size_t slab = states_.size();
  if (std::vector<uint32_t>& pool = free_.empty() ? cold_ : free_; !pool.empty()) {
    slab = pool.back();
    pool.pop_back();
    states_[slab] = State::kInUse;
  } else {
    states_.push_back(State::kInUse);
  }
  ++in_use_;
  Header& head = header(slab);
  ASAN_UNPOISON_MEMORY_REGION(&head, sizeof(Header));
  head.begins.fill(0);
  head.ends.fill(0);
  head.used_cells = 0;
  ASAN_POISON_MEMORY_REGION(base_ + slab * kSlabBytes + kFirstCell * kCellBytes,
                            kSlabBytes - kFirstCell * kCellBytes);
  link(static_cast<uint32_t>(slab * kSlabCells) + kFirstCell, kSlabCells - kFirstCell);
  return true;
}

// REQUIRES that nothing of it is out.
void Slabs::close_slab(size_t slab) {
  if (states_[slab] == State::kRetired) {
    --retired_;
  } else {
    unlink_all(slab);
    --in_use_;
  }
  if (in_use_ + retired_ + free_.size() >= limit_) {
    release(slab);
  } else {
    free_.push_back(static_cast<uint32_t>(slab));
  }
  states_[slab] = State::kFree;
}

void Slabs::unlink_all(size_t slab) {
  const Header& head = header(slab);
  for (uint32_t word = 0; word < head.begins.size(); ++word) {
    while (head.begins[word] != 0) {
      const uint32_t cell = word * 64 + static_cast<uint32_t>(std::countr_zero(head.begins[word]));
      unlink(static_cast<uint32_t>(slab * kSlabCells) + cell);
    }
  }
}

// With the free runs before and behind it, if there are any.
void Slabs::put(uint32_t number, uint32_t cells) {
  const Header& head = header(number / kSlabCells);
  const uint32_t cell = number % kSlabCells;
  if (Header::is(head.ends, cell - 1)) {
    const uint32_t before = end_of(number - 1, 1);
    number -= before;
    cells += before;
    unlink(number);
  }
  const uint32_t behind = number % kSlabCells + cells;
  if (behind < kSlabCells && Header::is(head.begins, behind)) {
    const uint32_t next = number + cells;
    cells += free_at(next).cells;
    unlink(next);
  }
  link(number, cells);
}

void Slabs::link(uint32_t number, uint32_t cells) {
  Free& run = free_at(number);
  ASAN_UNPOISON_MEMORY_REGION(&run, sizeof(Free));
  ASAN_UNPOISON_MEMORY_REGION(&end_of(number, cells), sizeof(uint32_t));
  const size_t list = list_of(cells);
  run = {lists_[list], 0, cells};
  end_of(number, cells) = cells;
  if (run.next != 0) free_at(run.next).previous = number;
  lists_[list] = number;
  any_[list / 64] |= uint64_t{1} << (list % 64);
  Header& head = header(number / kSlabCells);
  Header::set(head.begins, number % kSlabCells);
  Header::set(head.ends, number % kSlabCells + cells - 1);
}

void Slabs::unlink(uint32_t number) {
  const Free run = free_at(number);
  if (run.next != 0) free_at(run.next).previous = run.previous;
  if (run.previous != 0) {
    free_at(run.previous).next = run.next;
  } else {
    const size_t list = list_of(run.cells);
    lists_[list] = run.next;
    if (run.next == 0) any_[list / 64] &= ~(uint64_t{1} << (list % 64));
  }
  Header& head = header(number / kSlabCells);
  Header::clear(head.begins, number % kSlabCells);
  Header::clear(head.ends, number % kSlabCells + run.cells - 1);
}

// It has worked (can_renew()). Should it ever not, going on would put one client's answer into what
// another one gets.
void Slabs::renew(void* at, size_t bytes) {
  WEIR_CHECK(offset_in_file(at) % kPageBytes == 0 && bytes % kPageBytes == 0);
  WEIR_CHECK(::madvise(at, bytes, MADV_REMOVE) == 0);
}

void Slabs::release(size_t slab) {
  ::madvise(base_ + slab * kSlabBytes, kSlabBytes, file_ >= 0 ? MADV_REMOVE : MADV_DONTNEED);
  cold_.push_back(static_cast<uint32_t>(slab));
}

void Slabs::set_limit(uint64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    limit_ = std::max<uint64_t>(std::min(bytes, reserved_bytes_) / kSlabBytes, 1);
    make_writable();
  }
  while (release_one()) {
  }
}

// Strict overcommitment may have less than the limit: then the limit is what it has, about.
void Slabs::make_writable() {
  while (limit_ > writable_) {
    char* const from = base_ + writable_ * kSlabBytes;
    const size_t more = limit_ - writable_;
    if (::mprotect(from, more * kSlabBytes, PROT_READ | PROT_WRITE) == 0) {
      writable_ = limit_;
    } else {
      limit_ = writable_ + more / 2;
    }
  }
  WEIR_CHECK(writable_ > 0);
}

// Of the free slabs that may be resident beyond the limit. One at a time: the kernel takes some
// time for each, in which others want the lock.
bool Slabs::release_one() {
  const std::lock_guard lock(mutex_);
  if (free_.empty() || in_use_ + retired_ + free_.size() <= limit_) return false;
  const size_t slab = free_.back();
  free_.pop_back();
  release(slab);
  return true;
}

size_t Slabs::retire() {
  const std::lock_guard lock(mutex_);
  if (in_use_ <= limit_) return retired_;
  std::vector<std::pair<uint32_t, size_t>> slabs;
  for (size_t slab = 0; slab < states_.size(); ++slab) {
    if (states_[slab] == State::kInUse) slabs.emplace_back(header(slab).used_cells, slab);
  }
  std::sort(slabs.begin(), slabs.end());
  const size_t surplus = in_use_ - limit_;
  for (size_t i = 0; i < surplus; ++i) {
    const size_t slab = slabs[i].second;
    unlink_all(slab);
    states_[slab] = State::kRetired;
    --in_use_;
    ++retired_;
  }
  return retired_;
}

bool Slabs::retired(const void* at) const {
  const std::lock_guard lock(mutex_);
  return states_[slab_of(at)] == State::kRetired;
}

uint64_t Slabs::limit_bytes() const {
  const std::lock_guard lock(mutex_);
  return limit_ * kSlabBytes;
}

uint64_t Slabs::used_bytes() const {
  const std::lock_guard lock(mutex_);
  return used_cells_ * kCellBytes;
}

uint64_t Slabs::slab_bytes() const {
  const std::lock_guard lock(mutex_);
  return (in_use_ + retired_) * kSlabBytes;
}

bool Slabs::consistent() const {
  const std::lock_guard lock(mutex_);
  uint64_t used = 0;
  int runs = 0;
  for (size_t slab = 0; slab < states_.size(); ++slab) {
    if (states_[slab] == State::kFree) continue;
    const Header& head = header(slab);
    used += head.used_cells;
    for (size_t word = 0; word < head.begins.size(); ++word) {
      runs += std::popcount(head.begins[word]) + std::popcount(head.ends[word]);
    }
  }
  uint64_t free_cells = 0;
  for (size_t list = 0; list < kLists; ++list) {
    if ((lists_[list] != 0) != ((any_[list / 64] >> (list % 64) & 1) != 0)) return false;
    for (uint32_t at = lists_[list]; at != 0; at = free_at(at).next) {
      const uint32_t cells = free_at(at).cells;
      if (list_of(cells) != list || end_of(at, cells) != cells) return false;
      free_cells += cells;
      runs -= 2;
    }
  }
  const uint64_t all = in_use_ * uint64_t{kSlabCells - kFirstCell};
  return used == used_cells_ && runs == 0 && (retired_ > 0 || used + free_cells == all);
}

}  // namespace weir::filters::cache
