#include "proxy/purge_order.h"

#include <algorithm>

#include "http/url.h"

namespace weir::proxy {

namespace {

Result<PurgeOrder> wrong(std::string why) { return Result<PurgeOrder>::failure(std::move(why)); }

// Such bytes are in no URL of a request and no tag; a line feed would look into a key's other
// parts.
bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) > ' ' && c != 0x7f; });
}

const char* noun_of(PurgeOrder::What what) {
  switch (what) {
    case PurgeOrder::What::kUrl: return "a URL";
    case PurgeOrder::What::kPrefix: return "a prefix";
    case PurgeOrder::What::kTag: return "a tag";
    case PurgeOrder::What::kAll: break;
  }
  return "all";
}

}  // namespace

Result<PurgeOrder> make_order(PurgeOrder::What what, std::string_view text, bool soft) {
  using What = PurgeOrder::What;
  PurgeOrder order = {what, std::string(text), soft};
  const std::string noun = noun_of(what);
  if (what == What::kAll) {
    if (!text.empty()) return wrong("all takes no text");
    return order;
  }
  if (text.empty()) return wrong(noun + " is empty");
  if (text.size() > PurgeOrder::kTextBytesMax) {
    return wrong(noun + " is longer than " + std::to_string(PurgeOrder::kTextBytesMax) + " bytes");
  }
  if (!is_visible(text)) {
    return wrong(noun + " has no blanks and no control characters; in a URL they are %-encoded");
  }
  if (what != What::kTag && !http::parse_url(text)) {
    return wrong(noun + " is absolute, as in https://example.com/path");
  }
  return order;
}

std::string text_of_order(const PurgeOrder& order) {
  std::string text = {static_cast<char>(order.what), order.soft ? 's' : 'h'};
  if (order.what != PurgeOrder::What::kAll) text += " " + order.text;
  return text;
}

std::optional<PurgeOrder> order_of_text(std::string_view text) {
  constexpr std::string_view kLetters = "upta";
  if (text.size() < 2 || kLetters.find(text[0]) == std::string_view::npos) return std::nullopt;
  if (text[1] != 's' && text[1] != 'h') return std::nullopt;
  const auto what = static_cast<PurgeOrder::What>(text[0]);
  const bool soft = text[1] == 's';
  text.remove_prefix(2);
  if (!text.empty()) {
    if (text[0] != ' ') return std::nullopt;
    text.remove_prefix(1);
  }
  Result<PurgeOrder> order = make_order(what, text, soft);
  if (!order.ok()) return std::nullopt;
  return std::move(order.value());
}

}  // namespace weir::proxy
