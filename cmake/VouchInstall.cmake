# Installs the library, its headers, the program, and what find_package(vouch) reads.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/vouch")
get_property(libraries GLOBAL PROPERTY VOUCH_LIBRARIES)

# Headers go below include/vouch/, which consumers get as their include directory: the installed
# code says #include "uow/engine.h", as the repository does.
install(TARGETS ${libraries} EXPORT vouchTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/vouch")
install(EXPORT vouchTargets NAMESPACE vouch:: DESTINATION "${package_dir}")
install(TARGETS vouch_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/vouchConfig.cmake.in" "${PROJECT_BINARY_DIR}/vouchConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/vouchConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/vouchConfig.cmake" "${PROJECT_BINARY_DIR}/vouchConfigVersion.cmake"
  DESTINATION "${package_dir}")
