#include "filters/cache/stored_head.h"

#include <cstring>

#include "base/check.h"

namespace weir::filters::cache {

namespace {

// Before the name and the value of each field.
struct Prefix {
  uint32_t value_size;
  uint16_t name_size;
  http::HeaderId id;
  uint8_t unused;
};
static_assert(sizeof(Prefix) == 8);

}  // namespace

std::string_view pack_head(const http::HeaderList& headers) {
  size_t size = 0;
  for (const http::Header& field : headers) {
    size += sizeof(Prefix) + field.name.size() + field.value.size();
  }
  char* const packed = static_cast<char*>(headers.arena().allocate(size + 1, 1));
  char* at = packed;
  for (const http::Header& field : headers) {
    const Prefix prefix = {static_cast<uint32_t>(field.value.size()),
                           static_cast<uint16_t>(field.name.size()), field.id, 0};
    std::memcpy(at, &prefix, sizeof(prefix));
    at += sizeof(prefix);
    std::memcpy(at, field.name.data(), field.name.size());
    at += field.name.size();
    std::memcpy(at, field.value.data(), field.value.size());
    at += field.value.size();
  }
  return {packed, size};
}

void unpack_head(std::string_view packed, http::HeaderList& out) {
  while (packed.size() >= sizeof(Prefix)) {
    Prefix prefix;
    std::memcpy(&prefix, packed.data(), sizeof(prefix));
    packed.remove_prefix(sizeof(prefix));
    WEIR_ASSERT(packed.size() >= size_t{prefix.name_size} + prefix.value_size);
    const std::string_view name = packed.substr(0, prefix.name_size);
    out.add(name, packed.substr(prefix.name_size, prefix.value_size), prefix.id);
    packed.remove_prefix(size_t{prefix.name_size} + prefix.value_size);
  }
}

}  // namespace weir::filters::cache
