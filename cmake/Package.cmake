# `find_package(cellmill)` after `cmake --install`.
include(CMakePackageConfigHelpers)
get_property(modules GLOBAL PROPERTY CELLMILL_MODULES)
install(TARGETS ${modules} cellmill_spectra EXPORT cellmillTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS cellmill_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/cellmill DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT cellmillTargets NAMESPACE cellmill::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cellmill)
configure_package_config_file(cmake/cellmillConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/cellmillConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cellmill)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/cellmillConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cellmillConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/cellmillConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cellmill)
