#include "base/blocks.h"

#include "base/check.h"

namespace weir {

BlockPool::~BlockPool() {
  WEIR_CHECK(in_use_ == 0);
  while (free_ != nullptr) {
    Block* block = free_;
    free_ = block->next;
    delete block;
    BlockBudget::refund(sizeof(Block));
  }
}

Block* BlockPool::take() {
  Block* block = free_;
  if (block != nullptr) {
    free_ = block->next;
    --free_count_;
  } else {
    block = new Block;
    // Only growth touches the shared counter: a steady worker never does.
    BlockBudget::charge(sizeof(Block));
  }
  ++in_use_;
  block->next = nullptr;
  block->begin = block->end = 0;
  return block;
}

void BlockPool::give(Block* block) {
  WEIR_ASSERT(in_use_ > 0);
  --in_use_;
  if (free_count_ < kFreeMax && !BlockBudget::scarce()) {
    block->next = free_;
    free_ = block;
    ++free_count_;
    return;
  }
  delete block;
  BlockBudget::refund(sizeof(Block));
}

}  // namespace weir
