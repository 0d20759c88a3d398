// Just enough of an HTTP/1.1 client to tell a whole answer from a cut one. Not weir's own parser:
// what this one takes for complete is what any client would.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include "support/sockets.h"

namespace weir::test {

struct Answer {
  int status = 0;         // 0: no whole head came
  bool complete = false;  // body and all, by its own framing
  bool reset = false;     // the connection ended by an RST
  bool timed_out = false;
  std::string head;
  std::string body;  // decoded
  std::string trailers;

  // The value of a field, or empty; `name` in lower case.
  std::string field(std::string_view name) const {
    std::string lower = head;
    for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    const std::string mark = "\r\n" + std::string(name) + ": ";
    const size_t at = lower.find(mark);
    if (at == std::string::npos) return {};
    const size_t begin = at + mark.size();
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

// Reads answers from a socket that may hold several of them.
class AnswerReader {
 public:
  explicit AnswerReader(Socket& socket) : socket_(socket) {}

  // The next final answer (interim ones are skipped and counted) or a 101.
  Answer next(bool head_request = false) {
    Answer answer;
    do {
      answer.head = take_until("\r\n\r\n");
      answer.status = answer.head.size() > 12 ? std::atoi(answer.head.c_str() + 9) : 0;
      interim_ += answer.status >= 100 && answer.status < 200 ? 1 : 0;
    } while (answer.status >= 100 && answer.status < 200 && answer.status != 101);
    if (answer.status != 0) answer.complete = read_body(answer, head_request);
    answer.reset = socket_.error() == ECONNRESET;
    answer.timed_out = socket_.timed_out();
    return answer;
  }
  int interim() const { return interim_; }
  // What has come behind the last answer.
  const std::string& rest() const { return buffer_; }

 private:
  bool read_body(Answer& answer, bool head_request) {
    if (head_request || answer.status == 204 || answer.status == 304 || answer.status == 101) {
      return true;
    }
    if (answer.field("transfer-encoding") == "chunked") return read_chunks(answer);
    const std::string length = answer.field("content-length");
    if (!length.empty()) {
      const size_t bytes = std::strtoull(length.c_str(), nullptr, 10);
      answer.body = take(bytes);
      return answer.body.size() == bytes;
    }
    while (fill()) continue;
    answer.body = std::exchange(buffer_, {});
    return socket_.error() == 0 && !socket_.timed_out();
  }

  bool read_chunks(Answer& answer) {
    for (;;) {
      const std::string line = take_until("\r\n");
      if (line.empty()) return false;
      const size_t bytes = std::strtoull(line.c_str(), nullptr, 16);
      if (bytes == 0) break;
      const std::string piece = take(bytes + 2);
      if (piece.size() != bytes + 2) return false;
      answer.body += piece.substr(0, bytes);
    }
    for (std::string line = take_until("\r\n"); line != "\r\n"; line = take_until("\r\n")) {
      if (line.empty()) return false;
      answer.trailers += line;
    }
    return true;
  }

  bool fill() {
    const std::string piece = socket_.receive();
    buffer_ += piece;
    return !piece.empty();
  }
  std::string take(size_t bytes) {
    while (buffer_.size() < bytes && fill()) continue;
    std::string taken = buffer_.substr(0, bytes);
    buffer_.erase(0, taken.size());
    return taken;
  }
  // Up to the end of `mark`; empty when it never comes.
  std::string take_until(std::string_view mark) {
    size_t at = buffer_.find(mark);
    while (at == std::string::npos) {
      if (!fill()) return {};
      at = buffer_.find(mark);
    }
    return take(at + mark.size());
  }

  Socket& socket_;
  std::string buffer_;
  int interim_ = 0;
};

// One request on a connection of its own.
inline Answer ask(uint16_t port, std::string_view request) {
  Socket socket = connect_to(port);
  socket.send(request);
  return AnswerReader(socket).next(request.starts_with("HEAD "));
}

inline std::string get(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n" + std::string(fields) + "\r\n";
}

}  // namespace weir::test
