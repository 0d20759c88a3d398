// The filters of a route in running order, and what is known of them before a request comes: then
// it asks each factory for no more than its filter. Made with a configuration; immutable in it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "proxy/filter.h"

namespace weir::proxy {

// Sets are bits by the filters' places.
struct ChainTraits {
  uint64_t on_request = 0;  // those that have such a callback
  uint64_t on_response = 0;
  uint64_t on_end = 0;
  uint32_t proof_filter = UINT32_MAX;  // place of the one that asks for proof
  bool attempt_edits = false;          // some filter uses on_attempt
  bool late_edits = false;             // some filter has an on_passed
  bool bare_answers = false;           // the last filter sees them
};

// Factories are shared so that a tunnel keeps its filters when it lets go of the snapshot.
class FilterChain {
 public:
  using FactoryPtr = std::shared_ptr<const FilterFactory>;

  FilterChain() = default;
  FilterChain(std::initializer_list<FactoryPtr> factories) {
    for (const FactoryPtr& factory : factories) push_back(factory);
  }

  void push_back(FactoryPtr factory) {
    WEIR_CHECK(size() < 64);
    const uint64_t place = uint64_t{1} << size();
    const FilterParts parts = factory->parts();
    if (parts.on_request) traits_.on_request |= place;
    if (parts.on_response) traits_.on_response |= place;
    if (parts.on_end) traits_.on_end |= place;
    if (factory->asks_for_proof()) traits_.proof_filter = static_cast<uint32_t>(size());
    traits_.attempt_edits |= factory->uses_on_attempt();
    traits_.late_edits |= factory->edits_last();
    traits_.bare_answers = factory->sees_bare_answers();
    factories_.push_back(std::move(factory));
  }

  size_t size() const { return factories_.size(); }
  bool empty() const { return factories_.empty(); }
  auto begin() const { return factories_.begin(); }
  auto end() const { return factories_.end(); }
  auto rbegin() const { return factories_.rbegin(); }
  auto rend() const { return factories_.rend(); }
  const ChainTraits& traits() const { return traits_; }

 private:
  std::vector<FactoryPtr> factories_;
  ChainTraits traits_;
};

}  // namespace weir::proxy
