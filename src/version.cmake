# Target weir_version: makes "version.h" from version.h.in, with the commit of the checkout.
include_guard(GLOBAL)

set(WEIR_COMMIT unknown)
find_package(Git QUIET)
if(GIT_FOUND)
  execute_process(
    COMMAND ${GIT_EXECUTABLE} describe --always --dirty --exclude=*
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    OUTPUT_VARIABLE described
    OUTPUT_STRIP_TRAILING_WHITESPACE
    ERROR_QUIET
    RESULT_VARIABLE failed)
  if(NOT failed)
    set(WEIR_COMMIT ${described})
  endif()
endif()

# A new commit configures anew, so that `weir version` never names an old one.
if(EXISTS ${PROJECT_SOURCE_DIR}/.git/logs/HEAD)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND
               PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/.git/logs/HEAD)
endif()

configure_file(${PROJECT_SOURCE_DIR}/src/version.h.in
               ${PROJECT_BINARY_DIR}/generated/version.h @ONLY)
add_library(weir_version INTERFACE)
target_include_directories(weir_version INTERFACE ${PROJECT_BINARY_DIR}/generated)
