// Finds the file of one request: at once where the kernel knows the names, else on a thread that
// may wait for the disk.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "net/helpers.h"
#include "proxy/files/find.h"

namespace weir::proxy {
class Exchange;
}

namespace weir::proxy::files {

// In the exchange's arena. Thread: the exchange's worker.
class LookUp final : private net::Errand::User {
 public:
  // `files` is of a route that the exchange pins; the question's views are in its arena.
  LookUp(Exchange& exchange, std::shared_ptr<const Files> files, const Question& question);

  // True: finding() is there. False: Exchange::on_file_found() will be called, unless stopped.
  bool start();
  void stop() { errand_.reset(); }
  Finding& finding() { return finding_; }

 private:
  bool start_errand();
  void on_errand_done(uint32_t result) override;
  void on_errand_late() override;

  Exchange& exchange_;
  const std::shared_ptr<const Files> files_;
  const Question question_;
  Finding finding_;
  std::shared_ptr<Finding> found_elsewhere_;  // written by the thread, before the errand is done
  std::optional<net::Errand> errand_;
};

}  // namespace weir::proxy::files
