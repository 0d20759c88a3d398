#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace weir {
namespace {

// Puts a pipe in the place of stderr for as long as it lives.
class StderrPipe {
 public:
  StderrPipe() : saved_(dup(STDERR_FILENO)) {
    REQUIRE(pipe2(ends_, O_CLOEXEC) == 0);
    REQUIRE(dup2(ends_[1], STDERR_FILENO) == STDERR_FILENO);
    REQUIRE(fcntl(ends_[0], F_SETFL, O_NONBLOCK) == 0);
  }
  ~StderrPipe() {
    dup2(saved_, STDERR_FILENO);
    for (const int fd : {saved_, ends_[0], ends_[1]}) close(fd);
    configure_log(LogLevel::kInfo, false);
  }

  std::string read_all() {
    std::string text;
    char piece[4096];
    for (ssize_t got; (got = read(ends_[0], piece, sizeof(piece))) > 0;) {
      text.append(piece, static_cast<size_t>(got));
    }
    return text;
  }
  std::vector<std::string> read_lines() {
    std::istringstream text(read_all());
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }

 private:
  int saved_;
  int ends_[2];
};

// The text with every digit as 0: the shape of a line whose time is not known.
std::string shape(std::string text) {
  for (char& c : text) {
    if (c >= '0' && c <= '9') c = '0';
  }
  return text;
}

TEST_CASE("a line of text: time in UTC, level, message") {
  StderrPipe err;
  log_info("listening on {}:{}", "::", 80);
  CHECK(shape(err.read_all()) == "0000-00-00T00:00:00.000Z info listening on :::00\n");
}

TEST_CASE("a line of JSON parses, whatever a value holds") {
  StderrPipe err;
  configure_log(LogLevel::kInfo, true);
  log_warn("bad name {}", std::string("\"\\\n\x01\xff", 5));
  const nlohmann::json line = nlohmann::json::parse(err.read_all());
  CHECK(line["level"] == "warn");
  CHECK(line["message"] == "bad name \"\\\n\x01\xef\xbf\xbd");
  CHECK(line["time"].get<std::string>().back() == 'Z');
}

TEST_CASE("a value cannot begin a line of its own") {
  StderrPipe err;
  log_error("{}", "x\n2026-01-01T00:00:00.000Z info all is well\x1b[2J");
  const std::vector<std::string> lines = err.read_lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("error x\\x0a2026") != std::string::npos);
  CHECK(lines[0].find('\x1b') == std::string::npos);
}

TEST_CASE("levels below the configured one are silent") {
  const char* const kNames[] = {"error", "warn", "info", "debug"};
  for (size_t shown = 1; shown <= 4; ++shown) {
    StderrPipe err;
    LogLevel level = LogLevel::kInfo;
    REQUIRE(parse_log_level(kNames[shown - 1], level));
    configure_log(level, false);
    CHECK(log_enabled(level));
    log_error("e");
    log_warn("w");
    log_info("i");
    log_debug("d");
    CHECK(err.read_lines().size() == shown);
  }
  LogLevel level = LogLevel::kInfo;
  CHECK_FALSE(parse_log_level("trace", level));
  CHECK_FALSE(parse_log_level("", level));
}

TEST_CASE("a long message is cut so that its line leaves in one piece") {
  StderrPipe err;
  configure_log(LogLevel::kInfo, true);
  log_info("{}", std::string(100'000, '"'));
  const std::vector<std::string> lines = err.read_lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].size() < 4096);
  CHECK(nlohmann::json::parse(lines[0])["message"].get<std::string>().size() > 500);
}

TEST_CASE("a stderr that nobody reads loses lines, and says so later") {
  StderrPipe err;
  constexpr int kLines = 200;  // of 1 KiB: three times a pipe
  for (int i = 0; i < kLines; ++i) log_info("{}", std::string(1024, 'x'));
  const size_t before = err.read_lines().size();
  CHECK(before < kLines);
  log_info("after");
  const std::vector<std::string> lines = err.read_lines();
  REQUIRE(lines.size() == 2);
  const std::string notice = std::to_string(kLines - before) + " lines of this log were lost";
  CHECK(lines[0].find(notice) != std::string::npos);
  CHECK(lines[1].find("after") != std::string::npos);
}

TEST_CASE("a repeated warning is written once per interval, with a count of the others") {
  StderrPipe err;
  LogThrottle often(60'000);
  for (int i = 0; i < 5; ++i) log_warn_once_per(often, "disk full");
  CHECK(err.read_lines().size() == 1);

  LogThrottle soon(20);
  for (int i = 0; i < 3; ++i) log_warn_once_per(soon, "slow");
  std::this_thread::sleep_for(std::chrono::milliseconds(40));
  log_warn_once_per(soon, "slow");
  const std::vector<std::string> lines = err.read_lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines[1].find("slow (2 more of these were left out)") != std::string::npos);
}

TEST_CASE("lines of several threads do not mix", "[threads]") {
  StderrPipe err;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 50; ++i) log_info("thread {} line {:02} end", t, i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::vector<std::string> lines = err.read_lines();
  CHECK(lines.size() == 200);
  for (const std::string& line : lines) {
    CHECK(shape(line) == "0000-00-00T00:00:00.000Z info thread 0 line 00 end");
  }
}

}  // namespace
}  // namespace weir
