# The software bill of materials: build/popcorn.spdx.json, an SPDX 2.3 document [spdx.github.io/spdx-spec/v2.3] with the
# libraries that were found and their versions. The same sources and libraries give the same bytes: its date is
# SOURCE_DATE_EPOCH or else that of the last commit.

# popcorn_sbom_package(NAME VERSION LICENCE HOME RELATION): a library that Popcorn uses. RELATION is DYNAMIC_LINK, or
# STATIC_LINK for headers that are compiled in. The lists end in popcorn_sbom_packages and popcorn_sbom_relations.
function(popcorn_sbom_package name version licence home relation)
  if(NOT version)
    set(version_field "")
  else()
    set(version_field "\"versionInfo\": \"${version}\", ")
  endif()
  set(packages "${popcorn_sbom_packages}")
  string(APPEND packages ",\n    {\"SPDXID\": \"SPDXRef-${name}\", \"name\": \"${name}\", ${version_field}"
    "\"downloadLocation\": \"NOASSERTION\", \"homepage\": \"${home}\", \"filesAnalyzed\": false, "
    "\"licenseConcluded\": \"NOASSERTION\", \"licenseDeclared\": \"${licence}\", \"copyrightText\": \"NOASSERTION\"}")
  set(relations "${popcorn_sbom_relations}")
  string(APPEND relations ",\n    {\"spdxElementId\": \"SPDXRef-popcorn\", \"relationshipType\": \"${relation}\", "
    "\"relatedSpdxElement\": \"SPDXRef-${name}\"}")
  set(popcorn_sbom_packages "${packages}" PARENT_SCOPE)
  set(popcorn_sbom_relations "${relations}" PARENT_SCOPE)
endfunction()

# popcorn_sbom_date(VARIABLE): "2023-01-02T03:04:05Z".
function(popcorn_sbom_date variable)
  if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
    execute_process(COMMAND git log -1 --format=%ct WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
      OUTPUT_VARIABLE seconds OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(seconds)
      set(ENV{SOURCE_DATE_EPOCH} "${seconds}")
      string(TIMESTAMP date "%Y-%m-%dT%H:%M:%SZ" UTC)
      unset(ENV{SOURCE_DATE_EPOCH})
      set(${variable} "${date}" PARENT_SCOPE)
      return()
    endif()
  endif()
  string(TIMESTAMP date "%Y-%m-%dT%H:%M:%SZ" UTC)
  set(${variable} "${date}" PARENT_SCOPE)
endfunction()

file(STRINGS "${NTL_INCLUDE_DIR}/NTL/version.h" ntl_line REGEX "define NTL_VERSION ")
string(REGEX REPLACE ".*\"(.*)\".*" "\\1" NTL_VERSION "${ntl_line}")
pkg_check_modules(LIBJPEG QUIET libjpeg)
pkg_check_modules(LIBPNG QUIET libpng)
pkg_check_modules(ZLIBPC QUIET zlib)
pkg_check_modules(LZMAPC QUIET liblzma)

set(popcorn_sbom_packages "")
set(popcorn_sbom_relations "")
popcorn_sbom_package(gmp "${GMP_VERSION}" "LGPL-3.0-or-later OR GPL-2.0-or-later" https://gmplib.org DYNAMIC_LINK)
popcorn_sbom_package(ntl "${NTL_VERSION}" LGPL-2.1-or-later https://libntl.org DYNAMIC_LINK)
popcorn_sbom_package(openssl "${OPENSSL_VERSION}" Apache-2.0 https://www.openssl.org DYNAMIC_LINK)
popcorn_sbom_package(libsodium "${SODIUM_VERSION}" ISC https://libsodium.org DYNAMIC_LINK)
popcorn_sbom_package(onetbb "${TBB_VERSION}" Apache-2.0 https://github.com/oneapi-src/oneTBB DYNAMIC_LINK)
popcorn_sbom_package(cpp-httplib "${HTTPLIB_VERSION}" MIT https://github.com/yhirose/cpp-httplib DYNAMIC_LINK)
popcorn_sbom_package(libjpeg-turbo "${LIBJPEG_VERSION}" "BSD-3-Clause AND IJG AND Zlib" https://libjpeg-turbo.org DYNAMIC_LINK)
popcorn_sbom_package(libpng "${LIBPNG_VERSION}" libpng-2.0 http://www.libpng.org DYNAMIC_LINK)
popcorn_sbom_package(zlib "${ZLIBPC_VERSION}" Zlib https://zlib.net DYNAMIC_LINK)
popcorn_sbom_package(liblzma "${LZMAPC_VERSION}" NOASSERTION https://tukaani.org/xz DYNAMIC_LINK)
popcorn_sbom_package(nlohmann-json "${nlohmann_json_VERSION}" MIT https://json.nlohmann.me STATIC_LINK)
popcorn_sbom_package(cli11 "${CLI11_VERSION}" BSD-3-Clause https://github.com/CLIUtils/CLI11 STATIC_LINK)
if(POPCORN_REDIS)
  popcorn_sbom_package(hiredis "${HIREDIS_VERSION}" BSD-3-Clause https://github.com/redis/hiredis DYNAMIC_LINK)
endif()
if(POPCORN_COMPRESS)
  pkg_check_modules(PROTOBUF QUIET protobuf)
  popcorn_sbom_package(libtorch "${Torch_VERSION}" BSD-3-Clause https://pytorch.org DYNAMIC_LINK)
  popcorn_sbom_package(onnx "${ONNX_VERSION}" Apache-2.0 https://onnx.ai DYNAMIC_LINK)
  popcorn_sbom_package(protobuf "${PROTOBUF_VERSION}" BSD-3-Clause https://protobuf.dev DYNAMIC_LINK)
  popcorn_sbom_package(valijson "" BSD-2-Clause https://github.com/tristanpenman/valijson STATIC_LINK)
endif()

popcorn_sbom_date(popcorn_sbom_created)
# A name of its own for each content, as the specification asks.
string(UUID popcorn_sbom_uuid NAMESPACE 6ba7b811-9dad-11d1-80b4-00c04fd430c8 TYPE SHA1
  NAME "popcorn ${PROJECT_VERSION} ${popcorn_sbom_created} ${popcorn_sbom_packages}")
configure_file(cmake/popcorn.spdx.json.in "${PROJECT_BINARY_DIR}/popcorn.spdx.json" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/popcorn.spdx.json" DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
