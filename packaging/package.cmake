# The Debian package: cmake --build build --target sluice && (cd build && cpack)

# sendmail is a copy, not a link: it is to run as another user (debian/postinst).
install(CODE [[
  set(programs "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")
  file(MAKE_DIRECTORY "${programs}/sbin")
  file(COPY_FILE "${programs}/bin/sluice" "${programs}/sbin/sendmail")
]] COMPONENT package EXCLUDE_FROM_ALL)
install(FILES packaging/sluice.service DESTINATION lib/systemd/system COMPONENT package EXCLUDE_FROM_ALL)
install(FILES packaging/sluice.toml DESTINATION /etc/sluice COMPONENT package EXCLUDE_FROM_ALL)
install(FILES packaging/sluice.logrotate DESTINATION /etc/logrotate.d RENAME sluice COMPONENT package EXCLUDE_FROM_ALL)
install(DIRECTORY packaging/examples packaging/monitoring DESTINATION share/doc/sluice COMPONENT package EXCLUDE_FROM_ALL)
file(GLOB documents CONFIGURE_DEPENDS README.md LICENSE docs/*.md docs/openapi.json)
install(FILES ${documents} DESTINATION share/doc/sluice COMPONENT package EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
# What `cmake --install` installs, and what only a package does.
set(CPACK_INSTALL_CMAKE_PROJECTS
  "${PROJECT_BINARY_DIR};sluice;ALL;/;${PROJECT_BINARY_DIR};sluice;package;/")
set(CPACK_PACKAGE_VENDOR Sluice)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "Sluice <postmaster@localhost>")
set(CPACK_DEBIAN_PACKAGE_SECTION mail)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS logrotate)
set(CPACK_DEBIAN_PACKAGE_PROVIDES mail-transport-agent)
set(CPACK_DEBIAN_PACKAGE_CONFLICTS mail-transport-agent)
set(CPACK_DEBIAN_PACKAGE_REPLACES mail-transport-agent)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/packaging/debian/postinst ${PROJECT_SOURCE_DIR}/packaging/debian/prerm
  ${PROJECT_SOURCE_DIR}/packaging/debian/postrm ${PROJECT_SOURCE_DIR}/packaging/debian/conffiles)
include(CPack)
