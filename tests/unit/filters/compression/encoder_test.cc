#include "filters/compression/encoder.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/decoders.h"

using namespace weir::filters::compression;
using weir::http::encoding_name;
using weir::test::decode;
using weir::test::Decoded;

namespace {

constexpr Encoding kAll[] = {Encoding::kGzip, Encoding::kBr, Encoding::kZstd};

class Text final : public Sink {
 public:
  void put(std::string_view bytes) override {
    CHECK_FALSE(bytes.empty());
    text.append(bytes);
    ++pieces;
  }
  std::string text;
  size_t pieces = 0;
};

// Half words, half numbers: what JSON is like.
std::string prose(size_t bytes, uint32_t seed = 1) {
  constexpr const char* kWords[] = {"order", "customer", "amber", "river", "pending", "total"};
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < bytes) {
    text += "{\"id\":" + std::to_string(random()) + ",\"" + kWords[random() % 6] + "\":\"" +
            kWords[random() % 6] + "\"},";
  }
  text.resize(bytes);
  return text;
}

std::string noise(size_t bytes) {
  std::mt19937 random(7);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// In pieces of that size; `flush` after each.
std::string compressed(Encoding encoding, const StreamOptions& options, std::string_view text,
                       size_t piece_bytes, bool flush) {
  Text out;
  EncoderPool::Lease encoder = EncoderPool::of_thread().lease(encoding, options);
  for (; text.size() > piece_bytes; text.remove_prefix(piece_bytes)) {
    encoder->put(text.substr(0, piece_bytes), out);
    if (flush) encoder->flush(out);
  }
  encoder->finish(text, out);
  return out.text;
}

void check_round_trip(Encoding encoding, const StreamOptions& options, std::string_view text,
                      size_t piece_bytes, bool flush) {
  CAPTURE(encoding_name(encoding), options.level, options.size_bytes, options.padding_bytes,
          text.size(), piece_bytes, flush);
  const Decoded back = decode(encoding, compressed(encoding, options, text, piece_bytes, flush));
  CHECK(back.fine);
  CHECK(back.whole);
  CHECK((back.bytes == text));  // in parentheses: not printed
}

}  // namespace

TEST_CASE("every encoding and level gives back what was put, however it was cut") {
  const std::string whole = prose(40'000);
  for (const Encoding encoding : kAll) {
    for (int level = kLevelMin; level <= kLevelMax; ++level) {
      for (const size_t piece : {size_t{1 << 20}, size_t{16'384}, size_t{1000}}) {
        for (const bool flush : {false, true}) {
          check_round_trip(encoding, {level, 0, 0}, whole, piece, flush);
          check_round_trip(encoding, {level, whole.size(), 0}, whole, piece, flush);
        }
      }
      check_round_trip(encoding, {level, 0, 0}, "", 1, false);
      check_round_trip(encoding, {level, 0, 0}, "abc", 1, true);
    }
  }
}

TEST_CASE("long bodies and bodies that do not shrink") {
  const std::string text = prose(3'000'000);
  const std::string random = noise(1'000'000);
  for (const Encoding encoding : kAll) {
    for (const int level : {1, 2, 3, 6}) {
      check_round_trip(encoding, {level, 0, 0}, text, 256 * 1024, false);
      check_round_trip(encoding, {level, 0, 0}, text, 256 * 1024, true);
      check_round_trip(encoding, {level, random.size(), 0}, random, 100'000, true);
      check_round_trip(encoding, {level, 0, 0}, random, random.size(), false);
      CHECK(compressed(encoding, {level, 0, 0}, random, 16'384, true).size() <
            random.size() + random.size() / 100);
    }
  }
}

TEST_CASE("a size that was not true costs memory or ratio only") {
  const std::string text = prose(100'000);
  for (const Encoding encoding : kAll) {
    check_round_trip(encoding, {2, 10, 0}, text, 10'000, false);
    check_round_trip(encoding, {2, uint64_t{1} << 40, 0}, text, 10'000, false);
  }
}

TEST_CASE("what was flushed can be decoded at once") {
  for (const Encoding encoding : kAll) {
    for (int level = kLevelMin; level <= kLevelMax; ++level) {
      CAPTURE(encoding_name(encoding), level);
      EncoderPool::Lease encoder = EncoderPool::of_thread().lease(encoding, {level, 0, 0});
      Text out;
      std::string sent;
      for (int i = 0; i < 5; ++i) {
        const std::string event = "data: " + std::to_string(i) + "\n\n";
        encoder->put(event, out);
        encoder->flush(out);
        sent += event;
        const Decoded back = decode(encoding, out.text);
        CHECK(back.fine);
        CHECK_FALSE(back.whole);
        CHECK(back.bytes == sent);
      }
      const size_t before = out.text.size();
      encoder->flush(out);  // of nothing
      encoder->flush(out);
      CHECK(out.text.size() == before);
      encoder->finish({}, out);
      CHECK(decode(encoding, out.text).whole);
    }
  }
}

TEST_CASE("streams of a thread do not disturb each other") {
  const std::string text = prose(300'000);
  for (const int level : {1, 5}) {
    std::vector<EncoderPool::Lease> leases;
    std::vector<Text> outs(6);
    for (size_t i = 0; i < outs.size(); ++i) {
      leases.push_back(EncoderPool::of_thread().lease(kAll[i % 3], {level, 0, 0}));
    }
    for (size_t at = 0; at < text.size(); at += 10'000) {
      for (size_t i = 0; i < outs.size(); ++i) {
        leases[i]->put(std::string_view(text).substr(at, 10'000), outs[i]);
      }
    }
    for (size_t i = 0; i < outs.size(); ++i) {
      leases[i]->finish({}, outs[i]);
      CHECK((decode(kAll[i % 3], outs[i].text).bytes == text));
    }
  }
}

TEST_CASE("an encoder forgets the stream that nobody finished") {
  const std::string text = prose(50'000);
  for (const Encoding encoding : kAll) {
    for (const int level : {1, 6}) {
      {
        EncoderPool::Lease encoder = EncoderPool::of_thread().lease(encoding, {level, 0, 10});
        Text out;
        encoder->put(prose(30'000, 9), out);
        encoder->flush(out);
        encoder->put("and more", out);
      }
      check_round_trip(encoding, {level, 0, 0}, text, 7000, false);
    }
  }
}

TEST_CASE("padding of every length is skipped by decoders and changes the length") {
  const std::string text = prose(2000);
  for (const Encoding encoding : kAll) {
    for (const int level : {2, 6}) {
      std::set<size_t> sizes;
      for (uint32_t bytes = 0; bytes <= kPaddingMax; ++bytes) {
        check_round_trip(encoding, {level, 0, bytes}, text, 700, true);
        sizes.insert(compressed(encoding, {level, 0, bytes}, text, 4000, false).size());
      }
      CHECK(sizes.size() == kPaddingMax + 1);
    }
    check_round_trip(encoding, {2, 0, 100}, "", 1, false);
  }
}

TEST_CASE("random padding has every length") {
  std::set<uint32_t> seen;
  for (int i = 0; i < 20'000; ++i) seen.insert(EncoderPool::of_thread().random_padding());
  CHECK(seen.size() == kPaddingMax + 1);
  CHECK(*seen.rbegin() == kPaddingMax);
}

TEST_CASE("encoders are lent, counted, kept and given back") {
  EncoderPool& pool = EncoderPool::of_thread();
  REQUIRE(pool.leased() == 0);
  {
    std::vector<EncoderPool::Lease> leases;
    for (int i = 0; i < 20; ++i) {
      leases.push_back(pool.lease(Encoding::kGzip, {2, 0, 0}, i % 2 == 0));
    }
    CHECK(pool.leased() == 20);
    CHECK(pool.long_lived() == 10);
    EncoderPool::Lease moved = std::move(leases[0]);
    CHECK_FALSE(leases[0]);
    CHECK(moved);
    leases[1] = std::move(moved);
    CHECK(pool.leased() == 19);
    CHECK(pool.long_lived() == 10);
    leases[1].release();
    leases[1].release();
    CHECK(pool.leased() == 18);
    CHECK(pool.long_lived() == 9);
  }
  CHECK(pool.leased() == 0);
  CHECK(pool.long_lived() == 0);
  CHECK(pool.idle() <= 16);
  CHECK(pool.idle() >= 4);
}

TEST_CASE("a body that is put at once is not larger by its known size") {
  const std::string text = prose(16'384);
  for (const Encoding encoding : kAll) {
    const int level = level_of(encoding, Effort::kPassing);
    CAPTURE(encoding_name(encoding));
    CHECK(compressed(encoding, {level, text.size(), 0}, text, text.size(), false).size() <=
          compressed(encoding, {level, 0, 0}, text, text.size(), false).size());
  }
}

TEST_CASE("more effort makes less of what is long") {
  const std::string text = prose(300'000);
  const std::string_view spans[] = {text};
  for (const Encoding encoding : kAll) {
    size_t last = text.size();
    for (const Effort effort : {Effort::kPassing, Effort::kStored, Effort::kPopular}) {
      std::string out;
      REQUIRE(compress_all(encoding, level_of(encoding, effort), spans, text.size(), out));
      CAPTURE(encoding_name(encoding), static_cast<int>(effort), out.size());
      CHECK(out.size() < last);
      last = out.size();
      CHECK((decode(encoding, out).bytes == text));
    }
  }
}

TEST_CASE("compress_all() can be stopped between slices") {
  const std::string text(200'000, 'x');
  const std::string_view spans[] = {text};
  const std::atomic<bool> stop{true};
  const std::atomic<bool> go_on{false};
  std::string out;
  for (const Encoding encoding : {Encoding::kGzip, Encoding::kBr, Encoding::kZstd}) {
    CHECK_FALSE(compress_all(encoding, 2, spans, text.size(), out, &stop));
    CHECK(compress_all(encoding, 2, spans, text.size(), out, &go_on));
  }
}

TEST_CASE("compress_all() takes spans, and no more than it is allowed to make") {
  const std::string text = prose(200'000);
  const std::string random = noise(200'000);
  for (const Encoding encoding : kAll) {
    for (const int level : {1, 9, 11}) {
      CAPTURE(encoding_name(encoding), level);
      std::vector<std::string_view> spans;
      for (size_t at = 0; at < text.size(); at += 16'000) {
        spans.push_back(std::string_view(text).substr(at, 16'000));
      }
      std::string out = "old";
      REQUIRE(compress_all(encoding, level, spans, text.size(), out));
      const Decoded back = decode(encoding, out);
      CHECK(back.whole);
      CHECK((back.bytes == text));
      std::string again;
      CHECK(compress_all(encoding, level, spans, out.size(), again));
      CHECK_FALSE(compress_all(encoding, level, spans, out.size() - 1, again));
      const std::string_view one[] = {random};
      CHECK_FALSE(compress_all(encoding, level, one, random.size(), again));
    }
    std::string out;
    CHECK(compress_all(encoding, 2, {}, 100, out));
    CHECK(decode(encoding, out).whole);
    CHECK(decode(encoding, out).bytes.empty());
  }
}
