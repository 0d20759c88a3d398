#include <catch2/catch.hpp>

#include <string>

#include "http/rules.h"

using namespace weir::http;
using namespace std::string_literals;

namespace {

struct Row {
  std::string bytes;
  int status;
  size_t begin;
  size_t end;
};

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

// What a connection gets when the bytes come one by one and it gives `resume` back each time.
HeadScan scan_bytewise(const std::string& bytes, bool request, const HeadLimits& limits) {
  HeadScan scan;
  size_t from = 0;
  for (size_t size = 1; size <= bytes.size(); ++size) {
    scan = scan_head(std::string_view(bytes).substr(0, size), from, request, limits);
    if (scan.refusal || scan.end != 0) return scan;
    from = scan.resume;
  }
  return scan;
}

}  // namespace

TEST_CASE("scan_head finds the end of a request head or refuses", "[http][scan]") {
  const Row rows[] = {
      {"", 0, 0, 0},
      {"GET", 0, 0, 0},
      {"GET / HTTP/1.1\r\nHost: a\r\n", 0, 0, 0},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r", 0, 0, 0},
      {kGet, 0, 0, kGet.size()},
      {kGet + "GET /next", 0, 0, kGet.size()},
      {"GET / HTTP/1.1\r\n\r\n", 0, 0, 18},
      {"\r\n" + kGet, 0, 2, kGet.size() + 2},
      {"\r\n\r\n\r\n\r\n" + kGet, 0, 8, kGet.size() + 8},
      {"GET / HTTP/1.1\r\nA: \t b\tc\r\n\r\n", 0, 0, 28},
      {"GET / HTTP/1.1\r\nA: \x80\xff\r\n\r\n", 0, 0, 25},
      // Refused.
      {"\r\n\r\n\r\n\r\n\r\n" + kGet, 400, 8, 0},
      {"\n" + kGet, 400, 0, 0},
      {"\r" + kGet, 400, 0, 0},
      {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400, 0, 0},
      {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400, 0, 0},
      {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, 0, 0},
      {"GET / HTTP/1.1\rHost: a\r\n\r\n", 400, 0, 0},
      {"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400, 0, 0},
      {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400, 0, 0},
      {"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"s, 400, 0, 0},
      {"GET /\0 HTTP/1.1\r\n\r\n"s, 400, 0, 0},
      {"GET / HTTP/1.1\r\nA: b\x01\r\n\r\n", 400, 0, 0},
      {"GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n", 400, 0, 0},
      {"GET / HTTP/1.1\r\nA: b\x0b\r\n\r\n", 400, 0, 0},
      {"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400, 0, 0},
      {"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", 400, 0, 0},
      {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, 0, 0},
      {"\x16\x03\x01\x02", 400, 0, 0},
      {"GET /\0"s, 400, 0, 0},
      {"GET /\n", 400, 0, 0},
  };
  const HeadLimits limits;
  for (const Row& row : rows) {
    CAPTURE(row.bytes);
    const HeadScan scan = scan_head(row.bytes, 0, true, limits);
    CHECK(scan.refusal.status == row.status);
    CHECK(scan.begin == row.begin);
    CHECK(scan.end == row.end);

    const HeadScan split = scan_bytewise(row.bytes, true, limits);
    CHECK(split.refusal.status == row.status);
    CHECK(split.end == row.end);
  }
}

TEST_CASE("scan_head refuses every control byte but tab, wherever it stands", "[http][scan]") {
  const std::string text =
      "GET /path HTTP/1.1\r\nHost: example.com\r\nAccept: text/html, */*\r\n\r\n";
  for (int c = 0; c < 256; ++c) {
    const bool control = (c < 0x20 && c != '\t') || c == 0x7f;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\r' || text[i] == '\n') continue;
      const bool line_start = i > 0 && text[i - 1] == '\n';
      std::string bytes = text;
      bytes[i] = static_cast<char>(c);
      const bool fold = line_start && (c == '\t' || c == ' ');
      CAPTURE(c, i);
      CHECK(bool(scan_head(bytes, 0, true, {}).refusal) == (control || fold));
    }
  }
}

TEST_CASE("scan_head does not skip blank lines before a response", "[http][scan]") {
  CHECK(scan_head("\r\nHTTP/1.1 200 OK\r\n\r\n", 0, false, {}).refusal.status == 400);
  CHECK(scan_head("HTTP/1.1 200 OK\r\n\r\n", 0, false, {}).end == 19);
}

TEST_CASE("scan_head bounds the start line and the head", "[http][scan]") {
  HeadLimits limits;
  limits.uri_bytes = 100;
  limits.header_size_bytes = 400;
  const auto status = [&](const std::string& bytes, bool request = true) {
    const HeadScan whole = scan_head(bytes, 0, request, limits);
    const HeadScan split = scan_bytewise(bytes, request, limits);
    CHECK(whole.refusal.status == split.refusal.status);
    return whole.refusal.status;
  };
  const std::string tail = " HTTP/1.1\r\nHost: a\r\n\r\n";
  CHECK(status("GET /" + std::string(90, 'a') + tail) == 0);
  CHECK(status("GET /" + std::string(200, 'a') + tail) == 414);
  CHECK(status("GET /" + std::string(200, 'a')) == 414);
  CHECK(status("GET /" + std::string(1000, 'a')) == 414);
  CHECK(status("GET /" + std::string(200, 'a') + "\r\r") == 414);
  // Too long is told from a broken byte by where the byte stands, to the very last one.
  for (size_t size = 150; size < 180; ++size) {
    status("GET /" + std::string(size, 'a') + "\n");
    status("GET /" + std::string(size, 'a') + tail);
  }
  CHECK(status("HTTP/1.1 200 " + std::string(200, 'a') + "\r\n\r\n", false) == 0);

  // Exactly at the limit, one over, and one over that never ends.
  const std::string start = "GET / HTTP/1.1\r\nA: ";
  const size_t room = limits.header_size_bytes - start.size() - 4;
  CHECK(status(start + std::string(room, 'x') + "\r\n\r\n") == 0);
  CHECK(status(start + std::string(room + 1, 'x') + "\r\n\r\n") == 431);
  CHECK(status(start + std::string(room + 500, 'x')) == 431);
  CHECK(status("\r\n" + start + std::string(room, 'x') + "\r\n\r\n") == 0);
  CHECK(status("HTTP/1.1 200 OK\r\nA: " + std::string(500, 'x'), false) == 431);
}
