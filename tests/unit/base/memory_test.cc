// What requests live in: slots with generations, arenas, buffers of blocks, and the budget of both.
#include <catch2/catch.hpp>

#include <random>
#include <string>
#include <vector>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/intrusive_list.h"
#include "base/slot_map.h"

namespace weir {
namespace {

TEST_CASE("a slot taken over is not reached by the id of its last owner") {
  SlotMap<int> map(2);
  int first = 1;
  int second = 2;
  const Id old = map.insert(first);
  map.erase(old);
  CHECK(map.find(old) == nullptr);
  const Id taken_over = map.insert(second);
  REQUIRE(taken_over.slot == old.slot);
  CHECK(map.find(old) == nullptr);
  CHECK(map.find(taken_over) == &second);
  CHECK(map.find(Id()) == nullptr);
  CHECK(map.find(Id{99, 1}) == nullptr);
}

TEST_CASE("a full map gives the id of nothing, and room again after an erase") {
  SlotMap<int> map(2);
  int object = 0;
  const Id first = map.insert(object);
  map.insert(object);
  CHECK(map.insert(object) == Id());
  CHECK(map.size() == 2);
  map.erase(first);
  CHECK(map.insert(object).generation != 0);
}

struct Noisy {
  Noisy(std::string& to, char of) : out(to), name(of) {}
  ~Noisy() { out += name; }
  std::string& out;
  char name;
};

TEST_CASE("an arena ends what it made, last first, and gives its blocks back") {
  BlockPool pool;
  std::string ended;
  {
    Arena arena(pool);
    arena.make<Noisy>(ended, 'a');
    arena.allocate(3 * Block::kSizeBytes);  // a chunk of its own
    arena.make<Noisy>(ended, 'b');
    const std::string_view text = arena.copy("kept");
    for (int i = 0; i < 100; ++i) arena.allocate(1000);
    CHECK(text == "kept");
    CHECK(reinterpret_cast<uintptr_t>(arena.allocate(8, 64)) % 64 == 0);
    CHECK(pool.in_use() > 1);
    arena.reset();
    CHECK(pool.in_use() == 0);
    arena.make<Noisy>(ended, 'c');
  }
  CHECK(ended == "bac");
  CHECK(pool.in_use() == 0);
}

std::string text_of(const Buffer& buffer) {
  std::vector<std::string_view> spans(4096);
  spans.resize(buffer.spans(spans.data(), spans.size()));
  std::string text;
  for (const std::string_view span : spans) text += span;
  return text;
}

TEST_CASE("a buffer is what was appended minus what was consumed, whatever the pieces") {
  BlockPool pool;
  std::mt19937 random(3);
  {
    Buffer buffer(pool);
    Buffer other(pool);
    std::string model;
    for (int step = 0; step < 3000; ++step) {
      const size_t bytes = random() % (random() % 8 == 0 ? 40'000 : 300);
      const std::string piece(bytes, static_cast<char>('a' + step % 26));
      switch (random() % 6) {
        case 0:
          buffer.append(piece);
          model += piece;
          break;
        case 1:
          other.append(piece);
          buffer.take(other);
          model += piece;
          CHECK(other.empty());
          break;
        case 2:
          std::copy_n(piece.data(), std::min<size_t>(bytes, 100), buffer.reserve(100));
          buffer.commit(std::min<size_t>(bytes, 100));
          model += piece.substr(0, 100);
          break;
        case 3:
          other.append(piece);
          buffer.append(other);
          CHECK(other.size() == bytes);
          other.clear();
          model += piece;
          break;
        case 4:
          buffer.swap(other);
          buffer.swap(other);
          break;
        default: {
          const size_t taken = std::min(bytes * 2, model.size());
          buffer.consume(taken);
          model.erase(0, taken);
          break;
        }
      }
      REQUIRE(buffer.size() == model.size());
      if (model.size() > 300'000) {
        buffer.clear();
        model.clear();
      }
      const bool same = step % 16 != 0 || text_of(buffer) == model;
      REQUIRE(same);
    }
  }
  CHECK(pool.in_use() == 0);
}

TEST_CASE("a buffer splits at a border between blocks") {
  BlockPool pool;
  {
    Buffer buffer(pool);
    Buffer tail(pool);
    const std::string first(Block::capacity(), '1');
    buffer.append(first + "second");
    buffer.consume(10);
    buffer.split_tail(buffer.front().size(), tail);
    CHECK(text_of(buffer) == first.substr(10));
    CHECK(text_of(tail) == "second");
    tail.append(" more");  // each half has its own end
    buffer.append("next");
    CHECK(text_of(tail) == "second more");
    CHECK(text_of(buffer) == first.substr(10) + "next");
  }
  CHECK(pool.in_use() == 0);
}

TEST_CASE("blocks count against the budget until their pool lets go of them") {
  const size_t before = BlockBudget::used_bytes();
  {
    BlockPool pool;
    Block* block = pool.take();
    CHECK(BlockBudget::used_bytes() == before + sizeof(Block));
    BlockBudget::set_limit_bytes(before + sizeof(Block));
    CHECK(BlockBudget::exhausted());
    pool.give(block);  // not kept on the free list: others need it more
    CHECK(BlockBudget::used_bytes() == before);
    BlockBudget::set_limit_bytes(size_t{512} << 20);
    pool.give(pool.take());  // kept, where blocks are kept at all
  }
  CHECK(BlockBudget::used_bytes() == before);
}

TEST_CASE("what is not in blocks counts against the budget, too") {
  const size_t before = BlockBudget::used_bytes();
  {
    BudgetedText text(100'000, 'x');
    CHECK(BlockBudget::used_bytes() == before + text.capacity() + 1);
    text.append(text);
    CHECK(BlockBudget::used_bytes() == before + text.capacity() + 1);
  }
  CHECK(BlockBudget::used_bytes() == before);
  BlockPool pool;
  Arena arena(pool);
  arena.allocate(100'000);
  CHECK(BlockBudget::used_bytes() >= before + 100'000);
  arena.reset();
  CHECK(BlockBudget::used_bytes() == before);
}

TEST_CASE("no free block is kept while half of the budget is in use") {
  const size_t before = BlockBudget::used_bytes();
  BlockPool pool;
  Block* first = pool.take();
  Block* second = pool.take();
  BlockBudget::set_limit_bytes(before + 4 * sizeof(Block));
  CHECK(BlockBudget::scarce());
  CHECK_FALSE(BlockBudget::exhausted());
  pool.give(first);
  CHECK(BlockBudget::used_bytes() == before + sizeof(Block));
  BlockBudget::set_limit_bytes(size_t{512} << 20);
  pool.give(second);
}

struct Element {
  explicit Element(int of) : number(of) {}
  int number;
  ListHook hook;
};
using Elements = IntrusiveList<Element, &Element::hook>;

std::vector<int> numbers(Elements& list) {
  std::vector<int> all;
  list.for_each([&](Element& element) { all.push_back(element.number); });
  return all;
}

TEST_CASE("an element that dies, or is unlinked while visited, leaves its list whole") {
  Elements list;
  Element a(1);
  Element c(3);
  list.push_back(a);
  {
    Element b(2);
    list.push_back(b);
    list.push_back(c);
    CHECK(numbers(list) == std::vector<int>{1, 2, 3});
  }
  CHECK(numbers(list) == std::vector<int>{1, 3});
  Element d(4);
  list.push_front(d);
  list.for_each([](Element& element) {
    if (element.number == 1) element.hook.unlink();
  });
  CHECK(numbers(list) == std::vector<int>{4, 3});
  Elements other;
  other.take_all(list);
  CHECK(list.empty());
  CHECK(other.pop_front()->number == 4);
  CHECK(other.back() == &c);
}

TEST_CASE("a list that dies first leaves its elements unlinked") {
  Element element(1);
  {
    Elements list;
    list.push_back(element);
  }
  CHECK_FALSE(element.hook.linked());
}

}  // namespace
}  // namespace weir
