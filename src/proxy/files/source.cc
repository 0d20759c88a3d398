#include "proxy/files/source.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/strings.h"
#include "http/date.h"
#include "proxy/exchange.h"
#include "proxy/files/disk.h"
#include "proxy/files/tag.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy::files {

namespace {

// What is read and sent in one go: it stays in the processor's cache on its way.
constexpr size_t kPieceBytes = 128 * 1024;
// A copy of less than that costs no more than what sending from a file takes in system calls.
constexpr size_t kSendFileMinBytes = 64 * 1024;
constexpr size_t kSendFileBytes = 1 << 20;
// Written to a full socket: what waits there is a copy.
constexpr size_t kWaitBytes = 32 * 1024;
// Where a file system cannot say whether it would wait, so much is read all the same.
constexpr uint64_t kReadBlindBytes = 64 * 1024;

// What is read at once goes on to the socket before anything else is read: one place per thread is
// enough.
char* thread_buffer() {
  thread_local const std::unique_ptr<char[]> buffer(new char[kPieceBytes]);
  return buffer.get();
}

int64_t read_at(int fd, char* out, size_t bytes, uint64_t at, int flags) {
  iovec to = {out, bytes};
  for (;;) {
    const ssize_t got = preadv2(fd, &to, 1, static_cast<off_t>(at), flags);
    if (got >= 0 || errno != EINTR) return got;
  }
}

int64_t wall_us(Exchange& exchange) { return static_cast<int64_t>(exchange.worker().wall_us()); }

}  // namespace

struct FileSource::Reading {
  std::shared_ptr<const OpenFile> file;
  uint64_t at = 0;
  BudgetedText bytes;
  int64_t got = 0;
};

FileSource::FileSource(Exchange& exchange, const Files& files, Finding& found)
    : exchange_(exchange),
      file_(std::make_shared<const OpenFile>(std::move(found.file))),
      fields_(exchange.arena()) {
  make_fields(files, found);
  const http::CacheFields request(exchange.request().headers);
  selection_.judge(http::Evaluator::kOrigin, exchange.request().method, request, fields_,
                   file_->size_bytes, wall_us(exchange) / 1'000'000);
  if (selection_.status() == 200) left_bytes_ = file_->size_bytes;
}

void FileSource::make_fields(const Files& files, const Finding& found) {
  Arena& arena = exchange_.arena();
  fields_.add("Content-Type", found.type);
  if (const int64_t time_s = last_modified_s(*file_, wall_us(exchange_))) {
    char text[http::kDateChars];
    http::format_date(time_s, text);
    fields_.add("Last-Modified", arena.copy({text, sizeof(text)}));
  }
  fields_.add("ETag", entity_tag(*file_, found.encoding, wall_us(exchange_), arena));
  fields_.add("Accept-Ranges", "bytes");
  if (found.encoding != http::Encoding::kIdentity) {
    fields_.add("Content-Encoding", http::encoding_name(found.encoding));
  }
  // Also of what has no sibling: it may get one.
  if (!files.precompressed.empty()) fields_.add("Vary", "Accept-Encoding");
}

void FileSource::fill_head(http::ResponseHead& head) {
  if (selection_.status() != 200) {
    selection_.fill_head(fields_, file_->size_bytes, exchange_.worker(), head);
    return;
  }
  head.status = 200;
  head.headers.copy_from(fields_);
  head.framing = http::Framing::kLength;
  head.content_length = file_->size_bytes;
}

// ---- the body ----

ResponseSource::Piece FileSource::next() {
  if (left_bytes_ == 0) {
    http::MultipartPiece part;
    if (selection_.status() != 206 || !selection_.next_part(part)) return {State::kEnd, {}};
    if (!part.is_slice) return give(part.text);
    at_bytes_ = part.slice.first;
    left_bytes_ = part.slice.size_bytes();
  }
  return read();
}

ResponseSource::Piece FileSource::read() {
  if (late_) return {State::kBroken, {}};
  if (waits_) return {State::kWait, {}};
  if (std::exchange(read_elsewhere_, false)) return use(reading_->got, reading_->bytes.data());
  const bool full = std::exchange(full_, false);
  if (!full && may_offer()) return offer();
  const size_t bytes = std::min<uint64_t>(left_bytes_, full ? kWaitBytes : kPieceBytes);
  char* const buffer = thread_buffer();
  int64_t got = read_at(file_->fd(), buffer, bytes, at_bytes_, RWF_NOWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EOPNOTSUPP)) {
    const bool blind = errno == EOPNOTSUPP && file_->size_bytes <= kReadBlindBytes;
    if (!blind && start_errand(bytes)) return {State::kWait, {}};
    got = read_at(file_->fd(), buffer, bytes, at_bytes_, 0);
  }
  return use(got, buffer);
}

// The socket takes it from the page cache itself. Only of what is there, as far as the two ends
// tell: where one has to wait for the disk, that is done on another thread.
bool FileSource::may_offer() {
  if (left_bytes_ < kSendFileMinBytes || !exchange_.takes_files()) return false;
  offered_bytes_ = std::min<uint64_t>(left_bytes_, kSendFileBytes);
  char byte;
  return read_at(file_->fd(), &byte, 1, at_bytes_, RWF_NOWAIT) == 1 &&
         read_at(file_->fd(), &byte, 1, at_bytes_ + offered_bytes_ - 1, RWF_NOWAIT) == 1;
}

ResponseSource::Piece FileSource::offer() const {
  return {.state = State::kFile,
          .file = file_->fd(),
          .offset_bytes = at_bytes_,
          .bytes = offered_bytes_};
}

void FileSource::sent(size_t bytes) {
  at_bytes_ += bytes;
  left_bytes_ -= bytes;
  full_ = bytes < offered_bytes_;
}

// Nothing where there should be something: it was truncated, and is never filled up.
ResponseSource::Piece FileSource::use(int64_t got, const char* bytes) {
  if (got <= 0) return {State::kBroken, {}};
  const auto size = static_cast<size_t>(got);
  at_bytes_ += size;
  left_bytes_ -= size;
  return give({bytes, size});
}

ResponseSource::Piece FileSource::give(std::string_view bytes) {
  given_ = bytes;
  return {State::kBytes, {&given_, 1}};
}

bool FileSource::start_errand(size_t bytes) {
  reading_ = std::make_shared<Reading>();
  reading_->file = file_;
  reading_->at = at_bytes_;
  reading_->bytes.resize(bytes);
  if (!errand_) {
    errand_.emplace(exchange_.worker().net(), static_cast<net::Errand::User&>(*this));
  }
  const auto work = [reading = reading_]() -> uint32_t {
    reading->got =
        read_at(reading->file->fd(), reading->bytes.data(), reading->bytes.size(), reading->at, 0);
    return 0;
  };
  waits_ = errand_->start(disk_threads(), work, kDiskMs);
  return waits_;
}

void FileSource::on_errand_done(uint32_t) {
  waits_ = false;
  read_elsewhere_ = true;
  exchange_.on_source_ready();
}

void FileSource::on_errand_late() {
  waits_ = false;
  late_ = true;
  exchange_.on_source_ready();
}

Error FileSource::why_broken() const {
  const ErrorKind kind = late_ ? ErrorKind::kTimeout : ErrorKind::kInternal;
  return {Source::kWeir, kind, Retry::kNever, late_ ? "the disk is late" : "a file broke off"};
}

}  // namespace weir::proxy::files
