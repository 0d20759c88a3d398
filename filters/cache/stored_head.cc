#include "filters/cache/stored_head.h"

#include <cstring>

#include "base/check.h"
#include "base/strings.h"
#include "http/rules.h"

namespace weir::filters::cache {

namespace {

// A number of these, one for each field, stands before the lines of all.
struct Entry {
  uint32_t value_size;
  uint16_t name_size;
  http::HeaderId id;
  bool never_indexed;
};
static_assert(sizeof(Entry) == 8);

using Count = uint32_t;

// Names of that size are no server's: a head has less. The second tier is not so sure.
bool is_kept(const http::Header& field) {
  return http::is_sound(field) && field.name.size() <= UINT16_MAX;
}

char* put_entry(char* at, const http::Header& field) {
  const Entry entry = {static_cast<uint32_t>(field.value.size()),
                       static_cast<uint16_t>(field.name.size()), field.id, field.never_indexed};
  std::memcpy(at, &entry, sizeof(entry));
  return at + sizeof(entry);
}

char* put_line(char* at, const http::Header& field) {
  for (const std::string_view text :
       {field.name, std::string_view(": "), field.value, std::string_view("\r\n")}) {
    at = put_text(at, text);
  }
  return at;
}

}  // namespace

std::string_view pack_head(const http::HeaderList& headers) {
  Count count = 0;
  size_t lines_bytes = 0;
  for (const http::Header& field : headers) {
    if (!is_kept(field)) continue;
    ++count;
    lines_bytes += field.line_bytes();
  }
  const size_t lines_at = sizeof(count) + count * sizeof(Entry);
  auto* const packed = static_cast<char*>(headers.arena().allocate(lines_at + lines_bytes, 1));
  std::memcpy(packed, &count, sizeof(count));
  char* entry = packed + sizeof(count);
  char* line = packed + lines_at;
  for (const http::Header& field : headers) {
    if (!is_kept(field)) continue;
    entry = put_entry(entry, field);
    line = put_line(line, field);
  }
  return {packed, lines_at + lines_bytes};
}

void unpack_head(std::string_view packed, http::HeaderList& out) {
  if (packed.empty()) return;
  Count count = 0;
  std::memcpy(&count, packed.data(), sizeof(count));
  const char* at = packed.data() + sizeof(count);
  const char* line = at + count * sizeof(Entry);
  for (; count > 0; --count, at += sizeof(Entry)) {
    Entry entry;
    std::memcpy(&entry, at, sizeof(entry));
    const std::string_view name(line, entry.name_size);
    const std::string_view value(line + entry.name_size + 2, entry.value_size);
    out.add(name, value, entry.id, true, entry.never_indexed);
    line = value.data() + value.size() + 2;
  }
  WEIR_ASSERT(line == packed.data() + packed.size());
}

}  // namespace weir::filters::cache
