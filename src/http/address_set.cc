// AddressSet of forwarded.h.
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/strings.h"
#include "http/forwarded.h"

namespace weir::http {

namespace {

constexpr size_t kBytes = sizeof(Address::bytes);

void set_bit(uint64_t (&map)[4], unsigned value) { map[value / 64] |= uint64_t{1} << value % 64; }

bool has_bit(const uint64_t (&map)[4], unsigned value) {
  return (map[value / 64] >> value % 64 & 1) != 0;
}

// How many bits stand before that of `value`.
uint32_t rank(const uint64_t (&map)[4], unsigned value) {
  int count = std::popcount(map[value / 64] & ((uint64_t{1} << value % 64) - 1));
  for (unsigned word = 0; word < value / 64; ++word) count += std::popcount(map[word]);
  return static_cast<uint32_t>(count);
}

bool covers(const Address& base, unsigned bits, const Address& address) {
  const size_t whole = bits / 8;
  const unsigned rest = bits % 8;
  if (std::memcmp(address.bytes, base.bytes, whole) != 0) return false;
  if (rest == 0) return true;
  const unsigned differing = address.bytes[whole] ^ base.bytes[whole];
  return (differing >> (8 - rest)) == 0;
}

}  // namespace

bool AddressSet::add(std::string_view cidr) {
  const size_t slash = cidr.find('/');
  BlockOfAddresses block{};
  if (!Address::parse(cidr.substr(0, slash), block.base)) return false;
  const bool v4_text = cidr.find(':') == std::string_view::npos;
  uint64_t bits = v4_text ? 32 : 128;
  if (slash != std::string_view::npos) {
    const uint64_t most = bits;
    if (!parse_u64(cidr.substr(slash + 1), bits) || bits > most) return false;
  }
  if (v4_text) bits += 96;
  for (uint64_t i = bits; i < 128; ++i) {
    if ((block.base.bytes[i / 8] >> (7 - i % 8) & 1) != 0) return false;
  }
  block.bits = static_cast<uint8_t>(bits);
  blocks_.push_back(block);
  return true;
}

void AddressSet::seal() {
  std::sort(blocks_.begin(), blocks_.end(), [](const auto& a, const auto& b) {
    const int order = std::memcmp(a.base.bytes, b.base.bytes, kBytes);
    return order != 0 ? order < 0 : a.bits < b.bits;
  });
  // What covers a block stands before it, with nothing but what it covers in between.
  size_t kept = 0;
  for (const BlockOfAddresses& block : blocks_) {
    if (kept > 0 && covers(blocks_[kept - 1].base, blocks_[kept - 1].bits, block.base)) continue;
    blocks_[kept++] = block;
  }
  blocks_.resize(kept);
  all_ = kept > 0 && blocks_.front().bits == 0;
  if (kept > 0 && !all_) {
    nodes_.resize(1);
    build(0, 0, kept, 0);
    nodes_.shrink_to_fit();
  }
  blocks_ = {};
}

// The node of blocks [begin, end), which agree in the bytes before `from`, and all below it.
void AddressSet::build(size_t node, size_t begin, size_t end, uint8_t from) {
  // In order, so what the first and the last agree in, all do.
  const Address& first = blocks_[begin].base;
  const Address& last = blocks_[end - 1].base;
  size_t at = from;
  while (at + 1 < kBytes && first.bytes[at] == last.bytes[at]) ++at;
  for (size_t i = begin; i < end; ++i) at = std::min<size_t>(at, (blocks_[i].bits - 1u) / 8);
  Node made;
  made.from = from;
  made.at = static_cast<uint8_t>(at);
  std::memcpy(made.path, first.bytes, at);
  const auto value_of = [&](size_t i) { return unsigned{blocks_[i].base.bytes[at]}; };
  std::vector<size_t> groups;  // where blocks begin that have a node of their own
  for (size_t i = begin; i < end; ++i) {
    const size_t last_bit = 8 * (at + 1);
    if (blocks_[i].bits <= last_bit) {
      const unsigned values = 1u << (last_bit - blocks_[i].bits);
      for (unsigned value = 0; value < values; ++value) set_bit(made.whole, value_of(i) + value);
    } else if (!has_bit(made.below, value_of(i))) {
      set_bit(made.below, value_of(i));
      groups.push_back(i);
    }
  }
  made.first = static_cast<uint32_t>(nodes_.size());
  nodes_.resize(nodes_.size() + groups.size());
  nodes_[node] = made;
  for (size_t group = 0; group < groups.size(); ++group) {
    size_t stop = groups[group] + 1;
    while (stop < end && value_of(stop) == value_of(groups[group])) ++stop;
    build(made.first + group, groups[group], stop, static_cast<uint8_t>(at + 1));
  }
}

bool AddressSet::contains(const Address& address) const {
  WEIR_ASSERT(blocks_.empty());
  if (nodes_.empty()) return all_;
  const Node* node = nodes_.data();
  while (true) {
    const size_t skipped = size_t{node->at} - node->from;
    if (std::memcmp(address.bytes + node->from, node->path + node->from, skipped) != 0) {
      return false;
    }
    const unsigned value = address.bytes[node->at];
    if (has_bit(node->whole, value)) return true;
    if (!has_bit(node->below, value)) return false;
    node = &nodes_[node->first + rank(node->below, value)];
  }
}

}  // namespace weir::http
