#include "filters/compression/judge.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/arena.h"

using namespace weir;
using namespace weir::filters::compression;

namespace {

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;
using Lines = std::vector<std::string>;

struct Asked {
  explicit Asked(const Fields& fields, http::Method method = http::Method::kGet)
      : arena(pool), head(arena) {
    head.method = method;
    for (const auto& [name, value] : fields) head.headers.add(name, value);
  }
  BlockPool pool;
  Arena arena;
  http::RequestHead head;
};

struct Answer {
  explicit Answer(const Fields& fields, int status = 200) : arena(pool), head(arena) {
    head.status = status;
    head.framing = http::Framing::kChunked;
    for (const auto& [name, value] : fields) head.headers.add(name, value);
  }
  Judgement judged(const Options& options = {}, const Wish& wish = {}) {
    return judge(options, wish, head, http::CacheFields(head.headers));
  }
  Lines lines(std::string_view name) const {
    Lines out;
    for (const http::Header& header : head.headers) {
      if (header.name == name) out.emplace_back(header.value);
    }
    return out;
  }
  BlockPool pool;
  Arena arena;
  http::ResponseHead head;
};

Wish wish(const Asked& asked) { return wish_of(asked.head, http::CacheFields(asked.head.headers)); }

Encoding wished(const Fields& fields, const Options& options = {}) {
  const Asked asked(fields);
  return encoding_for(options, wish(asked));
}

}  // namespace

TEST_CASE("compression: what a client gets") {
  CHECK(wished({}) == Encoding::kIdentity);
  CHECK(wished({{"Accept-Encoding", ""}}) == Encoding::kIdentity);
  CHECK(wished({{"Accept-Encoding", "gzip"}}) == Encoding::kGzip);
  CHECK(wished({{"Accept-Encoding", "gzip, deflate, br"}}) == Encoding::kBr);
  CHECK(wished({{"Accept-Encoding", "gzip, deflate, br, zstd"}}) == Encoding::kZstd);
  CHECK(wished({{"Accept-Encoding", "gzip;q=1.0, br;q=0.5, zstd;q=0.5"}}) == Encoding::kGzip);
  CHECK(wished({{"Accept-Encoding", "gzip;q=0"}}) == Encoding::kIdentity);
  CHECK(wished({{"Accept-Encoding", "*;q=0"}}) == Encoding::kIdentity);
  CHECK(wished({{"Accept-Encoding", "identity"}}) == Encoding::kIdentity);
  CHECK(wished({{"Accept-Encoding", "identity;q=0, gzip;q=0.1"}}) == Encoding::kGzip);
  CHECK(wished({{"Accept-Encoding", "*"}}) == Encoding::kZstd);
  CHECK(wished({{"Accept-Encoding", "br;q=0"}, {"Accept-Encoding", "gzip"}}) == Encoding::kGzip);
  CHECK(wished({{"Accept-Encoding", ""}, {"Accept-Encoding", "br"}}) == Encoding::kBr);
  Options ordered;
  ordered.encodings = {Encoding::kGzip, Encoding::kBr, Encoding::kZstd};
  ordered.encodings_count = 2;
  CHECK(wished({{"Accept-Encoding", "zstd, br, gzip"}}, ordered) == Encoding::kGzip);
  CHECK(wished({{"Accept-Encoding", "zstd"}}, ordered) == Encoding::kIdentity);
}

TEST_CASE("compression: who gets nothing compressed") {
  CHECK(wished({{"Accept-Encoding", "gzip"}, {"X-No-Compression", "0"}}) == Encoding::kIdentity);
  CHECK(wished({{"Accept-Encoding", "gzip"}, {"x-no-compression", ""}}) == Encoding::kIdentity);
  CHECK(wished({{"Accept-Encoding", "gzip"}, {"Cache-Control", "no-cache, no-transform"}}) ==
        Encoding::kIdentity);
  CHECK(wished({{"Accept-Encoding", "gzip"}, {"Via", "1.1 cdn"}}) == Encoding::kGzip);
  Asked old(Fields{{"Accept-Encoding", "gzip"}});
  old.head.version = http::Version::kHttp10;
  CHECK(encoding_for({}, wish(old)) == Encoding::kIdentity);
  const Asked head(Fields{{"Accept-Encoding", "gzip"}}, http::Method::kHead);
  CHECK(wish(head).is_head);
  CHECK(encoding_for({}, wish(head)) == Encoding::kGzip);
}

TEST_CASE("compression: which answers may be") {
  const auto good = [](const Fields& fields, int status = 200) {
    const Judgement made = Answer(fields, status).judged();
    CHECK(made.varies == made.compressible);
    return made.compressible;
  };
  CHECK(good({{"Content-Type", "application/json"}}));
  CHECK(good({{"Content-Type", "text/html"}}, 404));
  CHECK(good({{"Content-Type", "text/html"}}, 500));
  CHECK(good({{"Content-Type", "text/html"}, {"Cache-Control", "no-store, max-age=1"}}));
  CHECK(good({{"Content-Type", "text/html"}, {"Content-Encoding", "identity"}}));
  CHECK(good({{"Content-Type", "text/html"}, {"Set-Cookie", "a=b"}}));
  CHECK_FALSE(good({}));
  CHECK_FALSE(good({{"Content-Type", "image/png"}}));
  CHECK_FALSE(good({{"Content-Type", "text/html"}, {"Content-Encoding", "gzip"}}));
  CHECK_FALSE(good({{"Content-Type", "text/html"}, {"Content-Encoding", "unknown"}}));
  CHECK_FALSE(good({{"Content-Type", "text/html"}, {"Content-Encoding", "identity, br"}}));
  CHECK_FALSE(good({{"Content-Type", "text/html"},
                    {"Cache-Control", "public"},
                    {"Cache-Control", "No-Transform"}}));
}

TEST_CASE("compression: what could be another client's, but not this one's") {
  const Fields fields = {{"Content-Type", "text/html"}};
  for (const int status : {204, 205, 206, 304}) {
    CAPTURE(status);
    const Judgement made = Answer(fields, status).judged();
    CHECK(made.varies);
    CHECK_FALSE(made.compressible);
  }
  const Judgement part =
      Answer(Fields{{"Content-Type", "text/html"}, {"Content-Range", "bytes */10"}}, 416).judged();
  CHECK_FALSE(part.compressible);
  Answer no_body(fields, 304);
  no_body.head.framing = http::Framing::kNone;
  CHECK(no_body.judged().varies);
}

TEST_CASE("compression: min_size counts where the length is known") {
  const auto judged = [](uint64_t bytes, uint64_t min_bytes) {
    Answer answer(Fields{{"Content-Type", "text/html"}});
    answer.head.framing = http::Framing::kLength;
    answer.head.content_length = bytes;
    Options options;
    options.min_size_bytes = min_bytes;
    const Judgement made = answer.judged(options);
    CHECK(made.length_bytes == bytes);
    CHECK(made.varies == made.compressible);
    return made.compressible;
  };
  CHECK_FALSE(judged(1023, 1024));
  CHECK(judged(1024, 1024));
  CHECK(judged(1, 0));
  CHECK_FALSE(judged(0, 0));
  const Judgement unknown = Answer(Fields{{"Content-Type", "text/html"}}).judged();
  CHECK(unknown.compressible);
  CHECK_FALSE(unknown.length_bytes);
}

TEST_CASE("compression: a HEAD is judged by the length that a GET would have") {
  const auto judged = [](const Fields& fields) {
    Answer answer(fields);
    answer.head.framing = http::Framing::kNone;
    return answer.judged({}, {"gzip", true}).compressible;
  };
  CHECK(judged({{"Content-Type", "text/html"}}));
  CHECK(judged({{"Content-Type", "text/html"}, {"Content-Length", "1024"}}));
  CHECK_FALSE(judged({{"Content-Type", "text/html"}, {"Content-Length", "1023"}}));
}

TEST_CASE("compression: answers that set cookies, where that counts") {
  Options options;
  options.skip_set_cookie = true;
  Answer cookie(Fields{{"Content-Type", "text/html"}, {"Set-Cookie", "a=b"}});
  CHECK_FALSE(cookie.judged(options).compressible);
  CHECK_FALSE(cookie.judged(options).varies);
  CHECK(Answer(Fields{{"Content-Type", "text/html"}}).judged(options).compressible);
}

TEST_CASE("compression: events may come for hours") {
  CHECK(Answer(Fields{{"Content-Type", "Text/Event-Stream; charset=utf-8"}}).judged().long_lived);
  CHECK_FALSE(Answer(Fields{{"Content-Type", "text/plain"}}).judged().long_lived);
}

TEST_CASE("compression: Vary is one line and says it once") {
  const auto varied = [](const Fields& fields) {
    Answer answer(fields);
    add_vary(answer.head.headers, "Accept-Encoding");
    return answer.lines("Vary");
  };
  CHECK(varied({}) == Lines{"Accept-Encoding"});
  CHECK(varied({{"Vary", ""}}) == Lines{"Accept-Encoding"});
  CHECK(varied({{"Vary", "Origin"}}) == Lines{"Origin, Accept-Encoding"});
  CHECK(varied({{"Vary", "accept-encoding, Origin"}}) == Lines{"accept-encoding, Origin"});
  CHECK(varied({{"Vary", "Origin"}, {"A", "b"}, {"Vary", "Cookie"}}) ==
        Lines{"Origin, Cookie, Accept-Encoding"});
  CHECK(varied({{"Vary", "Origin"}, {"Vary", "Accept-Encoding"}}) ==
        Lines{"Origin, Accept-Encoding"});
  CHECK(varied({{"Vary", "*"}}) == Lines{"*"});
  CHECK(varied({{"Vary", "X-Accept-Encoding"}}) == Lines{"X-Accept-Encoding, Accept-Encoding"});
}

TEST_CASE("compression: the head of an encoded answer") {
  Answer answer(Fields{{"Content-Type", "text/html"},
                       {"Content-Length", "5000"},
                       {"Accept-Ranges", "bytes"},
                       {"Content-MD5", "x"},
                       {"digest", "x"},
                       {"Content-Digest", "x"},
                       {"Repr-Digest", "x"},
                       {"Content-Encoding", "identity"},
                       {"Last-Modified", "y"}});
  tell_encoding(answer.head.headers, Encoding::kBr);
  Lines names;
  for (const http::Header& header : answer.head.headers) names.emplace_back(header.name);
  CHECK(names == Lines{"Content-Type", "Last-Modified", "Content-Encoding"});
  CHECK(answer.lines("Content-Encoding") == Lines{"br"});
}
