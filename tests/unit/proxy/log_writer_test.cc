#include "proxy/log_writer.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/temporary_folder.h"

namespace weir::proxy {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Puts `fd` in the place of stdout for as long as it lives.
class StdoutIs {
 public:
  explicit StdoutIs(int fd) : saved_(dup(STDOUT_FILENO)) { dup2(fd, STDOUT_FILENO); }
  ~StdoutIs() {
    dup2(saved_, STDOUT_FILENO);
    close(saved_);
  }

 private:
  int saved_;
};

std::unique_ptr<LogWriter> open_writer(const std::string& path) {
  auto writer = LogWriter::open(path);
  if (!writer.ok()) return nullptr;
  return std::move(writer.value());
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// What a worker does: fills the buffer that it holds.
void fill(LogBuffer& buffer, const std::string& text) {
  if (buffer.bytes == nullptr) {
    buffer.bytes.reset(new char[LogBuffer::kBytes]);
    buffer.capacity = LogBuffer::kBytes;
  }
  std::memcpy(buffer.bytes.get(), text.data(), text.size());
  buffer.used = text.size();
  buffer.lines = static_cast<uint32_t>(std::count(text.begin(), text.end(), '\n'));
}

bool submit(LogWriter& writer, const std::string& text) {
  LogBuffer buffer;
  fill(buffer, text);
  return writer.submit(buffer);
}

bool eventually(const std::function<bool()>& holds) {
  const auto until = Clock::now() + seconds(5);
  while (!holds()) {
    if (Clock::now() > until) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

TEST_CASE("a file is appended to and is not for everybody's eyes") {
  const TemporaryFolder folder;
  const std::string path = folder.file("access.log");
  umask(022);
  CHECK(submit(*open_writer(path), "one\n"));
  CHECK(submit(*open_writer(path), "two\n"));
  CHECK(text_of(path) == "one\ntwo\n");
  struct stat status = {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("a file that cannot be opened is told") {
  auto missing = LogWriter::open("/nonexistent/folder/access.log");
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error() == "access log /nonexistent/folder/access.log: No such file or directory");

  const TemporaryFolder folder;
  const std::string fifo = folder.file("fifo");
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  CHECK_FALSE(LogWriter::open(fifo).ok());  // nobody reads it: an error, not a wait
}

// However fast the thread is, what circulates is what may wait and the one that is being filled.
TEST_CASE("buffers come back empty and are used again", "[threads]") {
  const TemporaryFolder folder;
  auto writer = open_writer(folder.file("access.log"));
  LogBuffer buffer;
  size_t made = 0;
  for (int i = 0; i < 1'000; ++i) {
    made += buffer.bytes == nullptr ? 1 : 0;
    fill(buffer, "line\n");
    REQUIRE(eventually([&] { return writer->submit(buffer); }));
    CHECK(buffer.used == 0);
    CHECK(buffer.lines == 0);
  }
  CHECK(made <= LogWriter::kQueuedBytesMax / LogBuffer::kBytes + 1);
}

TEST_CASE("reopening follows a renamed file and loses nothing", "[threads]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("access.log");
  const std::string rotated = folder.file("access.log.1");
  constexpr int kLines = 2'000;
  {
    auto writer = open_writer(path);
    std::thread worker([&writer] {
      for (int i = 0; i < kLines; ++i) {
        const std::string line = std::to_string(i) + "\n";
        while (!submit(*writer, line)) std::this_thread::yield();
      }
    });
    std::this_thread::sleep_for(milliseconds(5));
    std::filesystem::rename(path, rotated);
    writer->reopen();
    CHECK(eventually([&path] { return std::filesystem::exists(path); }));
    worker.join();
    REQUIRE(submit(*writer, "last\n"));
  }
  std::istringstream all(text_of(rotated) + text_of(path));
  int expected = 0;
  for (std::string line; std::getline(all, line) && line != "last"; ++expected) {
    if (line != std::to_string(expected)) FAIL(line);
  }
  CHECK(expected == kLines);
  CHECK(text_of(path).ends_with("last\n"));
}

TEST_CASE("what a stuck pipe does not take goes to the next target, in whole lines", "[threads]") {
  const TemporaryFolder folder;
  const std::string fifo = folder.file("fifo");
  const std::string path = folder.file("access.log");
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  const int reader = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  auto writer = open_writer(fifo);
  constexpr int kLines = 50;  // of 5 KB, each in two pieces: a pipe holds 64 KB
  const std::string filler(5'000, 'f');
  for (int i = 0; i < kLines; ++i) REQUIRE(submit(*writer, std::to_string(i) + filler + "\n"));
  CHECK_FALSE(writer->wait_written(300));
  Result<int> target = LogWriter::open_target(path);
  REQUIRE(target.ok());
  writer->switch_to(path, target.value());
  CHECK(writer->wait_written(10'000));
  REQUIRE(submit(*writer, "last\n"));
  CHECK(writer->wait_written(10'000));
  std::istringstream moved(text_of(path));
  std::string line;
  REQUIRE(std::getline(moved, line));
  const int first = std::stoi(line);
  for (int i = first; i < kLines; ++i, std::getline(moved, line)) {
    if (line != std::to_string(i) + filler) FAIL(line.substr(0, 20));
  }
  CHECK(line == "last");
  std::string taken(1 << 20, '\0');
  const ssize_t got = ::read(reader, taken.data(), taken.size());
  REQUIRE(got > 0);
  taken.resize(static_cast<size_t>(got));
  const auto whole = static_cast<uint64_t>(std::count(taken.begin(), taken.end(), '\n'));
  CHECK(whole + writer->dropped_lines() == static_cast<uint64_t>(first));
  CHECK(writer->dropped_lines() <= 1);  // the one of which each has a part
  ::close(reader);
}

TEST_CASE("an idle writer lets go of the old file at once", "[threads]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("access.log");
  auto writer = open_writer(path);
  std::filesystem::remove(path);
  writer->reopen();
  const auto is_held = [&folder] {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
      if (target.find(folder.path()) != std::string::npos && target.ends_with("(deleted)")) {
        return true;
      }
    }
    return false;
  };
  CHECK(eventually([&is_held] { return !is_held(); }));
}

TEST_CASE("a failing reopen keeps the old file") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.file("logs"));
  const std::string path = folder.file("logs/access.log");
  const std::string moved = folder.file("moved");
  {
    auto writer = open_writer(path);
    std::filesystem::rename(folder.file("logs"), moved);
    writer->reopen();
    CHECK(submit(*writer, "still here\n"));
  }
  CHECK(text_of(moved + "/access.log") == "still here\n");
}

TEST_CASE("a pipe gets every line whole", "[threads]") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  std::string received;
  std::thread reader([&] {
    char piece[1000];
    for (ssize_t got; (got = read(ends[0], piece, sizeof(piece))) > 0;) {
      received.append(piece, static_cast<size_t>(got));
    }
  });
  const std::string text = [] {
    std::string lines;
    for (int i = 0; lines.size() < LogBuffer::kBytes - 600; ++i) {
      lines += std::to_string(i) + std::string(static_cast<size_t>(i % 500), 'x') + "\n";
    }
    return lines;
  }();
  {
    std::unique_ptr<LogWriter> writer;
    {
      const StdoutIs redirected(ends[1]);
      writer = open_writer("stdout");
    }
    close(ends[1]);
    REQUIRE(writer != nullptr);
    for (int i = 0; i < 4; ++i) REQUIRE(submit(*writer, text));
  }
  reader.join();
  close(ends[0]);
  CHECK(received == text + text + text + text);
}

TEST_CASE("a stuck pipe fills the queue, never the caller's time or the exit's", "[threads]") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const int flags_before = fcntl(ends[1], F_GETFL);
  std::unique_ptr<LogWriter> writer;
  {
    const StdoutIs redirected(ends[1]);
    writer = open_writer("stdout");
  }
  REQUIRE(writer != nullptr);
  const std::string text(LogBuffer::kBytes - 1, 'x');
  size_t taken = 0;
  const auto start = Clock::now();
  for (int i = 0; i < 200; ++i) taken += submit(*writer, text + "\n") ? 1 : 0;
  CHECK(Clock::now() - start < seconds(1));
  // What waits is bounded; a pipe's worth may have left before.
  CHECK(taken >= LogWriter::kQueuedBytesMax / LogBuffer::kBytes);
  CHECK(taken <= LogWriter::kQueuedBytesMax / LogBuffer::kBytes + 2);
  CHECK(fcntl(ends[1], F_GETFL) == flags_before);  // others hold this description

  const auto end_start = Clock::now();
  writer.reset();
  CHECK(Clock::now() - end_start < milliseconds(1'500));
  for (const int end : ends) close(end);
}

TEST_CASE("a pipe that is read again goes on where it stood", "[threads]") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  std::unique_ptr<LogWriter> writer;
  {
    const StdoutIs redirected(ends[1]);
    writer = open_writer("stdout");
  }
  close(ends[1]);
  const std::string line(1'023, 'y');
  size_t lines = 0;
  for (int i = 0; i < 10; ++i) {
    std::string text;
    for (int n = 0; n < 63; ++n, ++lines) text += line + "\n";
    REQUIRE(submit(*writer, text));
  }
  std::this_thread::sleep_for(milliseconds(150));  // stuck by now
  std::string received;
  std::thread reader([&] {
    char piece[8192];
    for (ssize_t got; (got = read(ends[0], piece, sizeof(piece))) > 0;) {
      received.append(piece, static_cast<size_t>(got));
    }
  });
  writer.reset();
  reader.join();
  close(ends[0]);
  CHECK(received.size() == lines * 1'024);
  CHECK(static_cast<size_t>(std::count(received.begin(), received.end(), '\n')) == lines);
}

TEST_CASE("a pipe without a reader costs lines, not the process", "[threads]") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  std::unique_ptr<LogWriter> writer;
  {
    const StdoutIs redirected(ends[1]);
    writer = open_writer("stdout");
  }
  for (const int end : ends) close(end);
  REQUIRE(std::signal(SIGPIPE, SIG_DFL) != SIG_ERR);
  CHECK(submit(*writer, "one\ntwo\nthree\n"));
  CHECK(eventually([&writer] { return writer->dropped_lines() == 3; }));
  CHECK(submit(*writer, "four\n"));
  CHECK(eventually([&writer] { return writer->dropped_lines() == 4; }));
}

TEST_CASE("a full disk costs lines and nothing else", "[threads]") {
  auto writer = open_writer("/dev/full");
  REQUIRE(writer != nullptr);
  CHECK(submit(*writer, "one\ntwo\n"));
  CHECK(eventually([&writer] { return writer->dropped_lines() == 2; }));
}

// RLIMIT_FSIZE stands for the disk: a write over it goes through in part, as on a full disk.
TEST_CASE("after a disk was full the next line starts on a line of its own", "[threads]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("access.log");
  rlimit before = {};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  {
    auto writer = open_writer(path);
    rlimit limit = before;
    limit.rlim_cur = 10;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    const bool taken = submit(*writer, "line 1\nline 2\nline 3\n");
    const bool dropped = eventually([&writer] { return writer->dropped_lines() == 2; });
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(taken);
    CHECK(dropped);
    CHECK(submit(*writer, "line 4\n"));
  }
  CHECK(text_of(path) == "line 1\nlin\nline 4\n");
}

TEST_CASE("lines of several workers arrive whole", "[threads]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("access.log");
  constexpr int kWorkers = 4;
  constexpr int kBuffers = 50;
  std::atomic<int> refused{0};
  {
    auto writer = open_writer(path);
    std::vector<std::thread> workers;
    for (int w = 0; w < kWorkers; ++w) {
      workers.emplace_back([&writer, &refused, w] {
        LogBuffer buffer;
        for (int i = 0; i < kBuffers; ++i) {
          fill(buffer, "worker " + std::to_string(w) + " says " + std::to_string(i) + "\n");
          if (!writer->submit(buffer)) ++refused;
        }
      });
    }
    for (std::thread& worker : workers) worker.join();
  }
  std::istringstream text(text_of(path));
  std::set<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    CHECK(line.starts_with("worker "));
    lines.insert(line);
  }
  CHECK(static_cast<int>(lines.size()) == kWorkers * kBuffers - refused);
}

}  // namespace
}  // namespace weir::proxy
