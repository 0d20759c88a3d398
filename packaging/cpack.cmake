# What `cmake --install` puts where, and the Debian package that `cpack` makes of it. Paths outside
# of the prefix are absolute, because systemd and logrotate look nowhere else.
find_program(GZIP gzip REQUIRED)

# Debian wants both compressed, and without a time stamp: the same source makes the same package.
set(compressed)
function(compress source name)
  set(target ${PROJECT_BINARY_DIR}/${name})
  add_custom_command(OUTPUT ${target} DEPENDS ${source} VERBATIM
                     COMMAND ${GZIP} -9nc ${source} > ${target})
  set(compressed ${compressed} ${target} PARENT_SCOPE)
endfunction()
compress(${PROJECT_SOURCE_DIR}/packaging/weir.8 weir.8.gz)
compress(${PROJECT_SOURCE_DIR}/CHANGELOG.md changelog.gz)
add_custom_target(compressed_docs ALL DEPENDS ${compressed})

install(TARGETS weir RUNTIME DESTINATION bin)
install(FILES ${PROJECT_BINARY_DIR}/weir.8.gz DESTINATION share/man/man8)
install(FILES ${PROJECT_BINARY_DIR}/changelog.gz packaging/debian/copyright
        DESTINATION share/doc/weir)
install(FILES config/README.md DESTINATION share/doc/weir RENAME configuration.md)
install(DIRECTORY docs/ DESTINATION share/doc/weir FILES_MATCHING PATTERN *.md)
install(DIRECTORY config/examples DESTINATION share/doc/weir FILES_MATCHING PATTERN *.yaml)
install(FILES packaging/debian/weir.yaml DESTINATION /etc/weir)
install(FILES packaging/logrotate/weir DESTINATION /etc/logrotate.d)
install(FILES packaging/systemd/weir.service packaging/systemd/weir.socket
        DESTINATION /lib/systemd/system)

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)  # absolute paths stay inside of the package
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME weir)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "weir's maintainers <weir@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "reverse proxy and load balancer for the edge")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"weir takes HTTP requests from the outside, decides where they go, hands
them to the app servers behind it and tells what happened: one process, one
event loop per CPU, one YAML file that is checked whole and reloaded without
a dropped connection.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION httpd)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.54)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS logrotate)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(scripts ${PROJECT_SOURCE_DIR}/packaging/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${scripts}/conffiles ${scripts}/postinst ${scripts}/prerm ${scripts}/postrm)
include(CPack)
