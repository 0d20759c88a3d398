// Any bytes as a value of the cache's second tier: what is taken for one can be written again as it
// was, and its fields may go to a client. The first byte says whether a right checksum is put
// behind the rest, so that what lies behind that check is seen as well.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "base/check.h"
#include "filters/cache/tier_value.h"
#include "http/rules.h"

namespace {

using namespace weir;
using namespace weir::filters::cache;

void check_fields(std::string_view text) {
  BlockPool blocks;
  Arena arena(blocks);
  http::HeaderList fields(arena);
  if (!read_tier_fields(text, fields)) return;
  WEIR_CHECK(tier_fields_text(fields) == text);
  for (const http::Header& field : fields) {
    WEIR_CHECK(http::is_token(field.name) && http::is_field_value(field.value));
    WEIR_CHECK(!http::is_hop_by_hop(field));
  }
}

std::string written(const TierValue& value) {
  std::string text = write_tier_value(value, value.body.size());
  text += value.body;
  TierChecksum checksum;
  checksum.put(text);
  return text + tier_checksum_text(checksum.end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1) != 0) {
    TierChecksum checksum;
    checksum.put(text);
    text += tier_checksum_text(checksum.end());
  }
  check_fields(text);
  const std::optional<TierValue> value = read_tier_value(text);
  if (!value) return 0;
  check_fields(value->fields);
  WEIR_CHECK(value->body.size() <= text.size());
  // Numbers may have had zeros before them.
  const std::string again = written(*value);
  const std::optional<TierValue> back = read_tier_value(again);
  WEIR_CHECK(back && written(*back) == again && back->body == value->body);
  return 0;
}
