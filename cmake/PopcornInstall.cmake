# What `cmake --install` puts where, by component:
#   runtime       the command, its models and samples, manual pages, completion, the client library
#   server        the systemd units, their user, an example configuration
#   tools         the compression module with its recipes and pages
#   development   headers, static libraries, the CMake package
#   python        the Python package (service/client/python)
#   client        the client library with its one header and CMake package alone, for programs that embed it
# Files of `client` are also in runtime and development.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(popcorn_data_folder "${CMAKE_INSTALL_DATADIR}/popcorn")
set(popcorn_cmake_folder "${CMAKE_INSTALL_LIBDIR}/cmake/popcorn")
set(popcorn_tool_pages popcorn-train.1 popcorn-compress.1 popcorn-export.1)

# --- runtime
install(TARGETS popcorn RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
install(TARGETS popcorn_client LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development)
install(DIRECTORY models/ DESTINATION ${popcorn_data_folder}/models COMPONENT runtime
        FILES_MATCHING PATTERN "*.popcorn" PATTERN "*.png" PATTERN "*.csv"
        PATTERN "datasets" EXCLUDE PATTERN "evaluation" EXCLUDE PATTERN "file" EXCLUDE PATTERN "input" EXCLUDE
        PATTERN "network" EXCLUDE)
install(DIRECTORY "${PROJECT_BINARY_DIR}/man/" DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT runtime
        FILES_MATCHING PATTERN "*.1" PATTERN popcorn-train.1 EXCLUDE PATTERN popcorn-compress.1 EXCLUDE
        PATTERN popcorn-export.1 EXCLUDE)
install(FILES cli/manual/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME popcorn COMPONENT runtime)
install(FILES cli/manual/completion.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions
        RENAME _popcorn COMPONENT runtime)
install(FILES cli/manual/completion.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
        RENAME popcorn.fish COMPONENT runtime)
install(FILES README.md SECURITY.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)

# --- server
install(FILES service/deploy/popcorn.service service/deploy/popcorn-prepare.service
        DESTINATION lib/systemd/system COMPONENT server)
install(FILES service/deploy/popcorn.sysusers.conf DESTINATION lib/sysusers.d RENAME popcorn.conf COMPONENT server)
install(FILES service/deploy/package/serve.json DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/popcorn COMPONENT server)
install(FILES service/deploy/nginx.conf service/deploy/prometheus.yml service/deploy/alerts.yml
        DESTINATION ${popcorn_data_folder}/examples COMPONENT server)

# --- tools
if(POPCORN_COMPRESS)
  install(TARGETS popcorn_compress_module LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/popcorn COMPONENT tools)
  install(DIRECTORY compress/recipes DESTINATION ${popcorn_data_folder} COMPONENT tools FILES_MATCHING PATTERN "*.json")
  list(TRANSFORM popcorn_tool_pages PREPEND "${PROJECT_BINARY_DIR}/man/")
  install(FILES ${popcorn_tool_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)
endif()
install(PROGRAMS scripts/get-data DESTINATION ${popcorn_data_folder} COMPONENT tools)

# --- development
install(TARGETS popcorn_base popcorn_paillier popcorn_models popcorn_datasets popcorn_protocols popcorn_service
        EXPORT popcorn_libraries ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(EXPORT popcorn_libraries NAMESPACE popcorn:: FILE popcornLibraries.cmake
        DESTINATION ${popcorn_cmake_folder} COMPONENT development)
install(DIRECTORY base paillier models protocols service DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/popcorn
        COMPONENT development FILES_MATCHING PATTERN "*.h"
        PATTERN "samples" EXCLUDE PATTERN "requantised" EXCLUDE PATTERN "deploy" EXCLUDE)
install(FILES cmake/FindNTL.cmake DESTINATION ${popcorn_cmake_folder} COMPONENT development)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT development)

# --- client, and the CMake package, which both have
configure_package_config_file(cmake/popcornConfig.cmake.in "${PROJECT_BINARY_DIR}/popcornConfig.cmake"
  INSTALL_DESTINATION ${popcorn_cmake_folder} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/popcornConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(TARGETS popcorn_client EXPORT popcorn_client
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client NAMELINK_COMPONENT client)
foreach(component IN ITEMS client development)
  install(EXPORT popcorn_client NAMESPACE popcorn:: FILE popcornClient.cmake
          DESTINATION ${popcorn_cmake_folder} COMPONENT ${component})
  install(FILES "${PROJECT_BINARY_DIR}/popcornConfig.cmake" "${PROJECT_BINARY_DIR}/popcornConfigVersion.cmake"
          DESTINATION ${popcorn_cmake_folder} COMPONENT ${component})
  install(FILES service/client/client.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/popcorn COMPONENT ${component})
endforeach()
install(FILES base/error.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/popcorn/base COMPONENT client)
