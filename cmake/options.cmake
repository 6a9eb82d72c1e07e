# What every target of ours is compiled with: link `project_options`.
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")
option(FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)
option(WERROR "Warnings are errors" OFF)
option(COVERAGE "Measure coverage" OFF)

add_library(project_options INTERFACE)
target_compile_features(project_options INTERFACE c_std_11)
target_compile_definitions(project_options INTERFACE
    _GNU_SOURCE TRACEHOP_VERSION="${PROJECT_VERSION}")
target_include_directories(project_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(project_options INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wformat=2 -Wundef -Wno-missing-field-initializers -fno-omit-frame-pointer
    $<$<BOOL:${WERROR}>:-Werror>)

# Hardening for what people run; the sanitizers bring their own checks.
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(project_options INTERFACE
        -fstack-protector-strong -fPIE $<$<STREQUAL:${SANITIZE},>:-D_FORTIFY_SOURCE=2>)
    target_link_options(project_options INTERFACE -pie -Wl,-z,relro,-z,now)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()

if(SANITIZE)
    target_compile_options(project_options INTERFACE
        -fsanitize=${SANITIZE} -fno-sanitize-recover=all)
    target_link_options(project_options INTERFACE -fsanitize=${SANITIZE})
endif()

# What a fuzz target links is watched by libFuzzer too.
if(FUZZ)
    target_compile_options(project_options INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(project_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(COVERAGE)
    target_compile_options(project_options INTERFACE --coverage)
    target_link_options(project_options INTERFACE --coverage)
endif()

# The assertions are part of the program, in release builds too.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-O3" "-O2 -g1" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
