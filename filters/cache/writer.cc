#include "filters/cache/writer.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "filters/cache/shard.h"
#include "filters/cache/store.h"

namespace weir::filters::cache {

namespace {

// A block of a body, with its header: what a socket takes at a time.
constexpr uint64_t kBlockBytesMax = 64 * 1024;
// Where nobody knows how long a body will be.
constexpr uint64_t kFirstBytes = 1024;
// From there on a block has pages of its own, in which a part of one is lost at its begin; in one
// of that size 3 %. A body that begins with one has twice as much at least.
constexpr uint64_t kPagesFrom = 64 * 1024;
constexpr uint64_t kPagesMax = 256 * 1024;
static_assert(Block::cells_for_pages(kPagesMax) <= Slabs::kRunCellsMax);
static_assert(kPagesFrom >= Block::kLentBytesMin);

bool are_bounded(std::span<const std::string_view> tags) {
  if (tags.size() > Store::kTagsMax) return false;
  size_t bytes = 0;
  for (const std::string_view tag : tags) {
    if (tag.size() > Store::kTagNameBytesMax) return false;
    bytes += tag.size();
  }
  return bytes <= Store::kTagBytesMax;
}

}  // namespace

Writer::Writer(Writer&& other) noexcept
    : store_(other.store_), growing_(std::exchange(other.growing_, nullptr)) {}

Writer& Writer::operator=(Writer&& other) noexcept {
  std::swap(store_, other.store_);
  std::swap(growing_, other.growing_);
  return *this;
}

Writer::~Writer() { abort(); }

Room Writer::start(const Answer& answer) { return store_->start(*growing_, answer); }

Reader Writer::reader() const {
  WEIR_ASSERT(growing_->object != nullptr);
  growing_->object->refs.fetch_add(1, std::memory_order_relaxed);
  Reader reader(store_->slabs_, *growing_->object);
  reader.open(growing_->body->encoding);
  return reader;
}

// The growing answer is not in the index: one count is the writer's.
bool Writer::is_read() const {
  WEIR_ASSERT(growing_->object != nullptr);
  return growing_->object->refs.load(std::memory_order_acquire) > 1;
}

Room Writer::append(std::string_view bytes) { return store_->append(*growing_, bytes); }

uint64_t Writer::size() const { return growing_->written; }

bool Writer::finish() {
  const bool stored = store_->finish(*growing_);
  delete std::exchange(growing_, nullptr);
  return stored;
}

void Writer::abort() {
  if (growing_ == nullptr) return;
  store_->abort(*growing_);
  delete std::exchange(growing_, nullptr);
}

Writer Store::begin(std::string_view primary) {
  if (primary.size() > kKeyBytesMax) return {};
  const Key key = key_of(primary);
  Growing& growing = *new Growing;
  growing.key = primary;
  growing.hash = key.hash;
  growing.began = now();
  Shard& shard = shard_of(key.hash.low);
  const std::lock_guard lock(shard.mutex);
  shard.growing.push_back(growing);
  return {*this, growing};
}

Writer Store::begin_encoding(const Reader& of, Encoding encoding, std::string_view suffix,
                             uint64_t expected_bytes) {
  if (suffix.size() > kHeadBytesMax) return {};
  const Object& object = *of.object_;
  {
    Shard& shard = shard_of(object.key_hash);
    const std::lock_guard lock(shard.mutex);
    shard.enter(now());
    if (shard.find_content(object) == nullptr) return {};
  }
  auto growing = std::make_unique<Growing>();
  growing->hash.low = object.key_hash;
  growing->is_answer = false;
  growing->of = of;
  growing->expected_bytes = expected_bytes;
  if (!start_body(*growing, of.meta(), of.head(), encoding, suffix)) return {};
  growing->room = Room::kOk;
  growing->object->content = object.content;
  for (size_t i = 0; i < kEncodings; ++i) {
    if (i == static_cast<size_t>(encoding) || object.bodies[i] == nullptr) continue;
    object.bodies[i]->refs.fetch_add(1, std::memory_order_relaxed);
    growing->object->bodies[i] = object.bodies[i];
  }
  return {*this, *growing.release()};
}

Room Store::start(Growing& growing, const Answer& answer) {
  WEIR_ASSERT(growing.is_answer && growing.object == nullptr);
  growing.room = Room::kTooLarge;
  if (answer.expected_bytes > max_object_bytes()) return Room::kTooLarge;
  if (answer.head.size() > kHeadBytesMax || answer.suffix.size() > kHeadBytesMax ||
      growing.key.size() + answer.vary.size() > kKeyBytesMax ||
      answer.secondary.size() > kKeyBytesMax) {
    return Room::kTooLarge;
  }
  if (!are_bounded(answer.tags)) return growing.room = Room::kTags;
  growing.room = Room::kNoMemory;
  growing.vary = answer.vary;
  growing.secondary = answer.secondary;
  growing.expected_bytes = answer.expected_bytes;
  if (!start_body(growing, answer.meta, answer.head, answer.encoding, answer.suffix)) {
    return Room::kNoMemory;
  }
  growing.object->content = contents_.fetch_add(1, std::memory_order_relaxed);
  if (!make_candidates(growing, answer)) return Room::kNoMemory;
  {
    // From here on, a purge by tag finds it.
    const std::lock_guard lock(shard_of(growing.hash.low).mutex);
    if (purged_tags_.hit(growing.began.tags, *growing.variant)) return growing.room = Room::kPurged;
  }
  return growing.room = Room::kOk;
}

// What the index will need, so that finish() does not fail for it. Purges by tag look at it, from
// other threads.
bool Store::make_candidates(Growing& growing, const Answer& answer) {
  const std::span<const std::string_view> tags = answer.tags;
  const uint32_t cells = Variant::cells_for(tags.size(), answer.secondary.size());
  Growing made;  // gives nothing back by itself
  const Slabs::Run variant_run = take(cells, &growing);
  if (!variant_run) return false;
  Shard& shard = shard_of(growing.hash.low);
  made.variant = &make_variant(variant_run, tags.size(), answer.secondary,
                               shard.hash_of(growing.hash, answer.secondary));
  const Slabs::Run entry_run =
      take(Entry::cells_for(growing.key.size() + answer.vary.size()), &growing);
  bool ok = static_cast<bool>(entry_run);
  if (ok) {
    made.entry =
        &make_entry(entry_run, growing.key, answer.vary, growing.hash.low, growing.hash.high);
  }
  for (size_t i = 0; ok && i < tags.size(); ++i) {
    const Slabs::Run run = take(Tag::cells_for(tags[i].size()), &growing);
    ok = static_cast<bool>(run);
    if (ok) made.variant->links()[i].tag = &make_tag(run, tags[i], secret_.hash(tags[i]).low);
  }
  if (!ok) {
    discard(slabs_, made);
    return false;
  }
  const std::lock_guard lock(shard.mutex);
  growing.variant = made.variant;
  growing.entry = made.entry;
  return true;
}

bool Store::start_body(Growing& growing, const Meta& meta, std::string_view head, Encoding encoding,
                       std::string_view suffix) {
  const Slabs::Run run = take(Object::cells_for(head.size()), &growing);
  if (!run) return false;
  Object& object = make_object(run, meta, head);
  const bool has_pages = slabs_.file() >= 0 && growing.expected_bytes >= 2 * kPagesFrom;
  const uint64_t bytes = growing.expected_bytes == 0
                             ? kFirstBytes
                             : std::min(growing.expected_bytes, has_pages ? 0 : kBlockBytesMax);
  const uint64_t before = Body::head_bytes(suffix.size()) + sizeof(Block);
  const uint32_t least = Slabs::cells_of(before);
  const uint32_t wanted = Slabs::cells_of(before + bytes);
  const Slabs::Run body_run =
      may_grow(growing, wanted) ? take(wanted, least, &growing) : Slabs::Run();
  if (!body_run) {
    drop(slabs_, object);
    stop_growing(growing);
    return false;
  }
  Body& body = make_body(body_run, encoding, suffix);
  object.bodies[static_cast<size_t>(encoding)] = &body;
  object.key_hash = growing.hash.low;
  growing.object = &object;
  growing.body = &body;
  growing.tail = &body.first();
  return true;
}

// Counts before it takes: others do so at the same time.
bool Store::may_grow(Growing& growing, uint32_t cells) {
  const uint64_t limit =
      memory_bytes_.load(std::memory_order_relaxed) / Slabs::kCellBytes / kGrowingShare;
  if (growing_cells_.fetch_add(cells, std::memory_order_relaxed) + cells > limit) {
    growing_cells_.fetch_sub(cells, std::memory_order_relaxed);
    return false;
  }
  growing.counted_cells += cells;
  return true;
}

void Store::stop_growing(Growing& growing) {
  growing_cells_.fetch_sub(std::exchange(growing.counted_cells, 0), std::memory_order_relaxed);
}

Room Store::append(Growing& growing, std::string_view bytes) {
  if (growing.room == Room::kOk && growing.written + bytes.size() > max_object_bytes()) {
    growing.room = Room::kTooLarge;
  }
  while (growing.room == Room::kOk && !bytes.empty()) {
    if (growing.tail_bytes == growing.tail->capacity && !add_block(growing, bytes.size())) {
      growing.room = Room::kNoMemory;
      break;
    }
    const size_t size =
        std::min<uint64_t>(bytes.size(), growing.tail->capacity - growing.tail_bytes);
    std::memcpy(growing.tail->data() + growing.tail_bytes, bytes.data(), size);
    growing.tail_bytes += size;
    growing.written += size;
    bytes.remove_prefix(size);
  }
  if (growing.room != Room::kOk) return growing.room;
  growing.body->published.store(growing.written, std::memory_order_seq_cst);
  wake_waiters(*growing.body);
  return Room::kOk;
}

bool Store::add_block(Growing& growing, uint64_t pending_bytes) {
  const uint64_t rest = growing.expected_bytes > growing.written
                            ? growing.expected_bytes - growing.written
                            : std::max(growing.written, kFirstBytes);
  const uint64_t wanted = std::max(rest, pending_bytes);
  const bool in_pages = slabs_.file() >= 0 && wanted >= kPagesFrom;
  const uint64_t bytes = std::min(wanted, in_pages ? kPagesMax : kBlockBytesMax - sizeof(Block));
  const uint32_t cells = in_pages ? Block::cells_for_pages(bytes) : Block::cells_for(bytes);
  if (!may_grow(growing, cells)) return false;
  const Slabs::Run run = take(cells, 1, &growing);
  // In a short run the part of a page that is lost at its begin would be too much.
  const bool has_pages = in_pages && run.cells >= Block::cells_for_pages(Block::kLentBytesMin);
  Block* const block = !run        ? nullptr
                       : has_pages ? &make_block_of_pages(slabs_, run, bytes)
                                   : &make_block(run);
  // Counted is what there was, not what was wanted.
  const uint32_t missing = cells - (block == nullptr ? 0 : block->cells);
  growing.counted_cells -= missing;
  growing_cells_.fetch_sub(missing, std::memory_order_relaxed);
  if (block == nullptr) return false;
  growing.body->block_cells += block->cells;
  growing.tail->next = block;
  growing.tail = block;
  growing.tail_bytes = 0;
  return true;
}

bool Store::finish(Growing& growing) {
  if (growing.object == nullptr || growing.room != Room::kOk) {
    abort(growing);
    return false;
  }
  Body& body = *growing.body;
  trim(slabs_, body, *growing.tail, growing.tail_bytes);
  stop_growing(growing);
  body.refs.fetch_add(1, std::memory_order_relaxed);  // once stored, it may be evicted at once
  body.state.store(BodyState::kWhole, std::memory_order_seq_cst);
  const bool stored = growing.is_answer ? insert(growing) : add_encoding(growing);
  wake_waiters(body);
  drop(slabs_, body);
  discard(slabs_, growing);
  if (growing.object != nullptr) drop(slabs_, *growing.object);
  return stored;
}

bool Store::insert(Growing& growing) {
  constexpr size_t kOldOnes = 4;  // that an insert frees on behalf of a purge of all
  insertions_.fetch_add(1, std::memory_order_relaxed);
  Garbage garbage(slabs_);
  Shard& shard = shard_of(growing.hash.low);
  const std::lock_guard lock(shard.mutex);
  shard.enter(now());
  growing.hook.unlink();
  shard.drop_old(kOldOnes, garbage);
  return shard.insert(growing, garbage);
}

// The answer may have been refreshed since, or got another coding: then the new one is made of what
// is there now.
bool Store::add_encoding(Growing& growing) {
  constexpr int kTries = 4;  // its head's length may be another one each time
  Slabs::Run run;
  for (int tries = 0; tries < kTries; ++tries) {
    uint32_t cells = 0;
    if (put_encoding(growing, run, cells)) return true;
    slabs_.give_back(run.at, run.cells);
    run = {};
    if (cells == 0) return false;
    run = take(cells, nullptr);
    if (!run) return false;
  }
  slabs_.give_back(run.at, run.cells);
  return false;
}

// `run` is for the new object, and taken if it fits; `cells` says what would fit, 0: the answer is
// not there any more.
bool Store::put_encoding(Growing& growing, Slabs::Run& run, uint32_t& cells) {
  Shard& shard = shard_of(growing.hash.low);
  Garbage garbage(slabs_);
  const std::lock_guard lock(shard.mutex);
  shard.enter(now());
  Variant* const variant = shard.find_content(*growing.object);
  if (variant == nullptr) return false;
  Object& old = *variant->object;
  if (&old == growing.of.object_) {
    shard.exchange(*variant, *std::exchange(growing.object, nullptr), garbage);
    return true;
  }
  cells = Object::cells_for(old.head_bytes);
  if (run.cells != cells) return false;
  Object& object = make_object(std::exchange(run, {}), old, old.meta, {old.head(), old.head_bytes});
  Body*& body = object.bodies[static_cast<size_t>(growing.body->encoding)];
  if (body != nullptr) drop(slabs_, *body);
  body = growing.body;
  body->refs.fetch_add(1, std::memory_order_relaxed);
  shard.exchange(*variant, object, garbage);
  return true;
}

void Store::abort(Growing& growing) {
  if (growing.is_answer) {
    const std::lock_guard lock(shard_of(growing.hash.low).mutex);
    growing.hook.unlink();
  }
  discard(slabs_, growing);
  stop_growing(growing);
  if (growing.object == nullptr) return;
  growing.body->state.store(BodyState::kBroken, std::memory_order_seq_cst);
  wake_waiters(*growing.body);
  drop(slabs_, *growing.object);
}

}  // namespace weir::filters::cache
