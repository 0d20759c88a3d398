// A POST that an admin page answers later: its filter parks the request and looks, at short
// intervals, whether there is an answer. What it waits for happens elsewhere (the main thread, the
// client), and costs an operator some milliseconds; being told would take a message to a worker
// that may be gone by then.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "admin/access.h"
#include "net/timer_wheel.h"
#include "proxy/filter.h"
#include "proxy/status_source.h"

namespace weir::admin {

// What the filters of one page share. Owned by their factory, and so by the admin's snapshot.
struct PostPage {
  proxy::StatusSource& source;  // outlives the factory
  const PageAccess access;
  const std::string token;
};

// Lives in its exchange's arena; thread: the admin worker's. Other methods than POST pass.
class LateAnswer : public proxy::Filter {
 public:
  explicit LateAnswer(const PostPage& page) : page_(page) {}

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead& request) final;
  void on_end(const proxy::Summary&) noexcept final { wait_.reset(); }

 protected:
  // The request may have the page. Nothing: look() follows; otherwise the answer.
  virtual std::optional<proxy::LocalReply> begin(proxy::Exchange& exchange) = 0;
  // Nothing: not yet. Has to come to an end by itself.
  virtual std::optional<proxy::LocalReply> look(proxy::Exchange& exchange) = 0;

  proxy::StatusSource& source() const { return page_.source; }

 private:
  // As long as it waits its exchange lives: this filter is in the exchange's arena.
  struct Wait {
    Wait(proxy::Resume token, proxy::Exchange& of, LateAnswer& filter);
    proxy::Resume resume;
    proxy::Exchange& exchange;
    net::Timer timer;
  };

  void on_time();

  const PostPage& page_;  // the factory's
  std::optional<Wait> wait_;
};

// A POST that is answered when its body is there, or later. Lives as above.
class BodyAnswer : public LateAnswer {
 public:
  using LateAnswer::LateAnswer;

 private:
  std::optional<proxy::LocalReply> begin(proxy::Exchange& exchange) final;
  std::optional<proxy::LocalReply> look(proxy::Exchange& exchange) final;
  // To the whole body. Nothing: not yet; it is asked again with the same one.
  virtual std::optional<proxy::LocalReply> answer(proxy::Exchange& exchange,
                                                  const std::string& body) = 0;
};

template <typename Answer>
class LateAnswerFactory final : public proxy::FilterFactory {
 public:
  LateAnswerFactory(std::string_view name, PostPage page) : name_(name), page_(std::move(page)) {}
  std::string_view name() const override { return name_; }
  proxy::Filter* create(Arena& arena) const override { return arena.make<Answer>(page_); }

 private:
  const std::string_view name_;  // a literal
  const PostPage page_;
};

}  // namespace weir::admin
