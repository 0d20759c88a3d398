#include "filters/cache/entry.h"

#include <cstring>
#include <new>

namespace weir::filters::cache {

namespace {

void copy(char* to, std::string_view text) {
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
}

void adopt(Entry* child, Entry* parent) {
  if (child != nullptr) child->parent = parent;
}

}  // namespace

Entry& make_entry(const Slabs::Run& run, std::string_view key, std::string_view vary, uint64_t hash,
                  uint64_t check) {
  Entry& entry = *new (run.at) Entry{};
  entry.hash = hash;
  entry.check = check;
  entry.cells = run.cells;
  entry.key_bytes = static_cast<uint32_t>(key.size());
  entry.vary_bytes = static_cast<uint32_t>(vary.size());
  copy(entry.text(), key);
  copy(entry.text() + key.size(), vary);
  return entry;
}

Variant& make_variant(const Slabs::Run& run, size_t tags, std::string_view secondary,
                      uint64_t hash) {
  Variant& variant = *new (run.at) Variant{};
  variant.hash = hash;
  variant.cells = run.cells;
  variant.tags = static_cast<uint8_t>(tags);
  variant.secondary_bytes = static_cast<uint32_t>(secondary.size());
  for (TagLink& link : variant.links()) new (&link) TagLink{nullptr, &variant, nullptr, nullptr};
  copy(variant.text(), secondary);
  return variant;
}

Tag& make_tag(const Slabs::Run& run, std::string_view name, uint64_t hash) {
  Tag& tag = *new (run.at) Tag{};
  tag.hash = hash;
  tag.cells = run.cells;
  tag.name_bytes = static_cast<uint32_t>(name.size());
  copy(tag.text(), name);
  return tag;
}

void StoredOrder::push(Variant& variant) {
  variant.before = last_;
  variant.behind = nullptr;
  if (last_ != nullptr) last_->behind = &variant;
  last_ = &variant;
  if (first_ == nullptr) first_ = &variant;
}

void StoredOrder::remove(Variant& variant) {
  if (first_ == &variant) first_ = variant.behind;
  if (variant.before != nullptr) variant.before->behind = variant.behind;
  (variant.behind != nullptr ? variant.behind->before : last_) = variant.before;
}

void KeyTree::put(Entry* parent, const Entry& at, Entry* now) {
  adopt(now, parent);
  if (parent == nullptr) {
    root_ = now;
  } else {
    (parent->left == &at ? parent->left : parent->right) = now;
  }
}

// Goes down to where the heap order wants it and splits what is there by the key.
void KeyTree::insert(Entry& entry) {
  const std::string_view key = entry.key();
  Entry* parent = nullptr;
  Entry** link = &root_;
  while (*link != nullptr && (*link)->check >= entry.check) {
    parent = *link;
    link = key < parent->key() ? &parent->left : &parent->right;
  }
  Entry* rest = *link;
  *link = &entry;
  entry.parent = parent;
  Entry** less = &entry.left;
  Entry** more = &entry.right;
  Entry* less_parent = &entry;
  Entry* more_parent = &entry;
  while (rest != nullptr) {
    if (rest->key() < key) {
      *less = rest;
      rest->parent = less_parent;
      less_parent = rest;
      less = &rest->right;
      rest = rest->right;
    } else {
      *more = rest;
      rest->parent = more_parent;
      more_parent = rest;
      more = &rest->left;
      rest = rest->left;
    }
  }
  *less = nullptr;
  *more = nullptr;
}

// Its two subtrees become one in its place.
void KeyTree::remove(Entry& entry) {
  Entry* left = entry.left;
  Entry* right = entry.right;
  Entry* parent = entry.parent;
  Entry* merged = nullptr;
  Entry** link = &merged;
  Entry* above = nullptr;
  while (left != nullptr && right != nullptr) {
    Entry*& upper = left->check >= right->check ? left : right;
    *link = upper;
    upper->parent = above;
    above = upper;
    link = &upper == &left ? &above->right : &above->left;
    upper = *link;
  }
  *link = left != nullptr ? left : right;
  adopt(*link, above);
  put(parent, entry, merged);
}

Entry* KeyTree::at_or_behind(std::string_view key) const {
  Entry* best = nullptr;
  for (Entry* at = root_; at != nullptr;) {
    if (at->key() < key) {
      at = at->right;
    } else {
      best = at;
      at = at->left;
    }
  }
  return best;
}

}  // namespace weir::filters::cache
