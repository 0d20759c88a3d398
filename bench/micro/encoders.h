// What it costs to compress an answer, by encoding and level, and how small it gets.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::micro {

// Prints a line for each encoding and level ("gzip 2"), unless `only` is another name: nanoseconds
// of CPU time per answer of 16 KiB, median and best, and the bytes that go in and come out of one
// on average. Each round compresses so many.
void run_encoders(uint64_t answers, int rounds, std::string_view only);

}  // namespace weir::micro
