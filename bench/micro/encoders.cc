#include "encoders.h"

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "base/check.h"
#include "filters/compression/encoder.h"
#include "rig.h"

namespace weir::micro {

namespace {

using namespace filters::compression;
using http::encoding_name;

constexpr size_t kAnswerBytes = 16 * 1024;
// So many different ones that neither the caches nor the branch predictor know them by heart.
constexpr uint32_t kAnswers = 500;

constexpr const char* kWords[] = {
    "order",  "ship",   "pending", "customer", "blue",   "small",   "large",   "north",
    "river",  "paper",  "cloud",   "metal",    "glass",  "amber",   "stone",   "field",
    "quick",  "silent", "broken",  "eager",    "open",   "paid",    "cash",    "card",
    "refund", "total",  "partial", "express",  "gift",   "note",    "urgent",  "standard",
    "valley", "copper", "harbour", "window",   "garden", "journey", "lantern", "meadow"};

class Json {
 public:
  explicit Json(uint32_t seed) : random_(seed) {}

  std::string items() {
    std::string text = R"({"items":[)";
    while (text.size() < kAnswerBytes) text += item() + ",";
    text.resize(kAnswerBytes);
    return text;
  }

 private:
  std::string word() { return kWords[random_() % std::size(kWords)]; }
  std::string number(uint32_t below) { return std::to_string(random_() % below); }
  std::string hex(int digits) {
    std::string text;
    while (digits-- > 0) text += "0123456789abcdef"[random_() % 16];
    return text;
  }
  std::string item() {
    return R"({"id":")" + hex(8) + "-" + hex(4) + "-" + hex(4) + "-" + hex(4) + "-" + hex(12) +
           R"(","name":")" + word() + " " + word() + " " + word() + R"(","status":")" + word() +
           R"(","price":)" + number(500) + "." + number(100) + R"(,"quantity":)" + number(50) +
           R"(,"active":)" + (random_() % 2 == 0 ? "true" : "false") + R"(,"createdAt":"2025-0)" +
           number(9) + "-1" + number(10) + "T1" + number(10) + ":" + number(60) + ":" + number(60) +
           "." + number(1000) + R"(Z","tags":[")" + word() + R"(",")" + word() + R"("],"email":")" +
           word() + number(1000) + R"(@example.com","address":{"street":")" + number(999) + " " +
           word() + R"( street","zip":")" + number(99999) + R"("},"notes":")" + word() + " " +
           word() + " " + word() + " " + word() + " " + word() + R"("})";
  }

  std::mt19937 random_;
};

class Counter final : public Sink {
 public:
  void put(std::string_view bytes) override { bytes_ += bytes.size(); }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t bytes_ = 0;
};

void run(const std::vector<std::string>& texts, Encoding encoding, int level, uint64_t answers,
         int rounds, const char* name) {
  Counter out;
  uint64_t made = 0;
  std::vector<double> ns;
  for (int round = 0; round < rounds; ++round) {
    const double begin_ns = thread_cpu_ns();
    for (uint64_t i = 0; i < answers; ++i, ++made) {
      StreamOptions options;
      options.level = level;
      options.size_bytes = kAnswerBytes;
      EncoderPool::Lease encoder = EncoderPool::of_thread().lease(encoding, options);
      encoder->finish(texts[made % texts.size()], out);
    }
    ns.push_back((thread_cpu_ns() - begin_ns) / static_cast<double>(answers));
  }
  std::sort(ns.begin(), ns.end());
  std::printf("%-14s %9.0f %9.0f %12zu %12llu\n", name, ns[ns.size() / 2], ns.front(), kAnswerBytes,
              static_cast<unsigned long long>(out.bytes() / made));
}

}  // namespace

void run_encoders(uint64_t answers, int rounds, std::string_view only) {
  std::vector<std::string> texts;
  for (const Encoding encoding : {Encoding::kGzip, Encoding::kZstd, Encoding::kBr}) {
    for (int level = kLevelMin; level <= kLevelMax; ++level) {
      const std::string name = std::string(encoding_name(encoding)) + " " + std::to_string(level);
      if (!only.empty() && only != name) continue;
      while (texts.size() < kAnswers) {
        texts.push_back(Json(static_cast<uint32_t>(texts.size()) + 1).items());
      }
      run(texts, encoding, level, answers, rounds, name.c_str());
    }
  }
}

}  // namespace weir::micro
