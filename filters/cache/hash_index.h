// A hash table of nodes that lie in slabs themselves: by linear hashing (Litwin 1980). Each insert
// splits at most one bucket, each removal joins at most four, so neither ever takes long, whatever
// the size. Buckets are cells' numbers, in segments of 256 bytes from the
// slabs.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "filters/cache/slab.h"

namespace weir::filters::cache {

// `Node` has uint64_t hash and uint32_t next_in_bucket. Who uses it has the lock. What is in it
// when it dies is not given back: it dies with the slabs.
template <typename Node>
class HashIndex {
 public:
  explicit HashIndex(Slabs& slabs) : slabs_(slabs) {}
  HashIndex(const HashIndex&) = delete;
  HashIndex& operator=(const HashIndex&) = delete;

  size_t size() const { return size_; }
  size_t buckets() const { return buckets_; }

  // The node of that hash for which `is` says so.
  template <typename Is>
  Node* find(uint64_t hash, Is is) const {
    for (uint32_t at = bucket(bucket_of(hash)); at != 0;) {
      Node* const node = slabs_.at<Node>(at);
      if (node->hash == hash && is(*node)) return node;
      at = node->next_in_bucket;
    }
    return nullptr;
  }

  template <typename Visit>
  void for_each_in(size_t number, Visit visit) const {
    if (number >= buckets_) return;
    for (uint32_t at = bucket(number); at != 0;) {
      Node* const node = slabs_.at<Node>(at);
      at = node->next_in_bucket;
      visit(*node);
    }
  }

  void insert(Node& node) {
    uint32_t& head = bucket(bucket_of(node.hash));
    node.next_in_bucket = head;
    head = slabs_.number_of(&node);
    if (++size_ > buckets_) split();
  }

  void remove(Node& node) {
    uint32_t* link = &bucket(bucket_of(node.hash));
    const uint32_t number = slabs_.number_of(&node);
    while (*link != number) link = &slabs_.at<Node>(*link)->next_in_bucket;
    *link = node.next_in_bucket;
    --size_;
    for (int i = 0; i < 4 && size_ * 4 < buckets_ && buckets_ > kFirst; ++i) join();
  }

  // Moves segments out of slabs that are to go. False: there was no room for all.
  bool leave_retired() {
    for (uint32_t& segment : segments_) {
      const auto* const from = slabs_.at<uint32_t>(segment);
      if (!slabs_.retired(from)) continue;
      const Slabs::Run run = slabs_.take(kSegmentCells, kSegmentCells);
      if (!run) return false;
      std::copy(from, from + kSegment, static_cast<uint32_t*>(run.at));
      slabs_.give_back(slabs_.at<uint32_t>(segment), kSegmentCells);
      segment = slabs_.number_of(run.at);
    }
    return true;
  }

 private:
  static constexpr size_t kFirst = 16;    // buckets that are always there
  static constexpr size_t kSegment = 64;  // buckets: short runs are always to be had
  static constexpr uint32_t kSegmentCells = kSegment * sizeof(uint32_t) / Slabs::kCellBytes;

  size_t bucket_of(uint64_t hash) const {
    const size_t round = std::bit_ceil(buckets_);
    const size_t number = hash & (round - 1);
    return number < buckets_ ? number : number - round / 2;
  }
  uint32_t& bucket(size_t number) {
    if (number < kFirst) return first_[number];
    number -= kFirst;
    return slabs_.at<uint32_t>(segments_[number / kSegment])[number % kSegment];
  }
  uint32_t bucket(size_t number) const { return const_cast<HashIndex*>(this)->bucket(number); }

  // The next bucket takes its part from the one that it was one with. No memory: later.
  void split() {
    if ((buckets_ - kFirst) / kSegment == segments_.size()) {
      const Slabs::Run run = slabs_.take(kSegmentCells, kSegmentCells);
      if (!run) return;
      segments_.push_back(slabs_.number_of(run.at));
    }
    const size_t added = buckets_;
    const size_t mask = std::bit_floor(added) * 2 - 1;
    uint32_t* link = &bucket(added - std::bit_floor(added));
    ++buckets_;
    uint32_t& head = bucket(added);
    head = 0;
    while (*link != 0) {
      Node* const node = slabs_.at<Node>(*link);
      if ((node->hash & mask) != added) {
        link = &node->next_in_bucket;
        continue;
      }
      const uint32_t number = *link;
      *link = node->next_in_bucket;
      node->next_in_bucket = head;
      head = number;
    }
  }

  void join() {
    const size_t last = buckets_ - 1;
    uint32_t* link = &bucket(last - std::bit_floor(last));
    while (*link != 0) link = &slabs_.at<Node>(*link)->next_in_bucket;
    *link = bucket(last);
    --buckets_;
    // One segment stays in hand, so that a size that swings does not take and give it each time.
    if (segments_.size() > (buckets_ - kFirst + kSegment - 1) / kSegment + 1) {
      slabs_.give_back(slabs_.at<uint32_t>(segments_.back()), kSegmentCells);
      segments_.pop_back();
    }
  }

  Slabs& slabs_;
  size_t size_ = 0;
  size_t buckets_ = kFirst;
  std::array<uint32_t, kFirst> first_ = {};
  // Numbers of the segments: a thousandth of what they lead to.
  std::vector<uint32_t> segments_;
};

}  // namespace weir::filters::cache
