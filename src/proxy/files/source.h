// A file on its way to one client: whole, not modified, or in parts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/blocks.h"
#include "http/headers.h"
#include "net/helpers.h"
#include "proxy/body.h"
#include "proxy/files/find.h"
#include "proxy/selection.h"

namespace weir::proxy {
class Exchange;
}

namespace weir::proxy::files {

// In the exchange's arena, which runs the destructor. A file that shrinks while it is sent is
// broken; of one that grows what was announced is sent.
class FileSource final : public ResponseSource, private net::Errand::User {
 public:
  // `found` is a kFile.
  FileSource(Exchange& exchange, const Files& files, Finding& found);

  void fill_head(http::ResponseHead& head) override;
  const http::HeaderList* whole_fields() const override { return selection_.whole_fields(fields_); }
  Piece next() override;
  void sent(size_t bytes) override;
  Error why_broken() const override;

 private:
  struct Reading;  // on another thread

  void make_fields(const Files& files, const Finding& found);
  Piece read();
  bool may_offer();
  Piece offer() const;
  Piece use(int64_t got, const char* bytes);
  Piece give(std::string_view bytes);
  bool start_errand(size_t bytes);
  void on_errand_done(uint32_t result) override;
  void on_errand_late() override;

  Exchange& exchange_;
  const std::shared_ptr<const OpenFile> file_;
  http::HeaderList fields_;  // of a 200
  Selection selection_{200};
  uint64_t at_bytes_ = 0;    // of the file
  uint64_t left_bytes_ = 0;  // of the part at hand
  std::string_view given_;
  size_t offered_bytes_ = 0;  // by the last kFile
  bool full_ = false;         // it was more than the socket took
  std::shared_ptr<Reading> reading_;
  bool waits_ = false;           // for the errand
  bool read_elsewhere_ = false;  // reading_ is done, and not given out yet
  bool late_ = false;
  std::optional<net::Errand> errand_;
};

}  // namespace weir::proxy::files
