# The standard library's headers are most of what a source parses. Where much is built and often
# (the presets with tests), they are parsed once, here. The release build does without, so that a
# source which forgets an include fails there.
set(WEIR_PRECOMPILED_HEADERS
  <algorithm> <array> <atomic> <chrono> <functional> <map> <memory> <mutex> <optional> <span>
  <sstream> <string> <string_view> <thread> <unordered_map> <unordered_set> <utility> <variant>
  <vector> <fmt/format.h>)
file(WRITE ${CMAKE_BINARY_DIR}/precompiled.cc "")
add_library(weir_precompiled OBJECT ${CMAKE_BINARY_DIR}/precompiled.cc)
target_link_libraries(weir_precompiled PRIVATE fmt::fmt)
target_precompile_headers(weir_precompiled PRIVATE ${WEIR_PRECOMPILED_HEADERS})

foreach(target weir_base weir_http weir_net weir_upstream weir_proxy weir_filters weir_config
        weir_admin weir)
  target_precompile_headers(${target} REUSE_FROM weir_precompiled)
endforeach()
